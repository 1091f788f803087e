"""Which names a pickle may ask for: each is judged before anything opens the file, and none of them is ever imported.

Python's own library is closed, but for the parts that data are made of. Of other packages, what is known to run
commands, to open files or to read another pickle is refused: by payoff's list and by picklescan's, which is kept up to
date. The rest is allowed because a model is opened in a process of its own that has nothing worth having.
"""

from __future__ import annotations

import _compat_pickle
import io
import logging
import re
import sys
from collections.abc import Collection

from picklescan.scanner import SafetyLevel, scan_pickle_bytes

logging.getLogger("picklescan").setLevel(logging.CRITICAL + 1)

_BUILTINS = (
    "object set frozenset slice complex bytearray range list dict tuple int float bool str bytes type getattr Ellipsis "
    "NotImplemented NoneType property staticmethod classmethod super zip map filter enumerate reversed len sum min max "
    "abs round sorted isinstance issubclass hash repr ascii chr ord divmod pow any all iter next print callable format "
    "id hasattr bin hex oct memoryview"
)
# Of Python's library: what data, and functions that travel by name, are made of. `*` stands for the whole module.
_ALLOWED = {
    "builtins": _BUILTINS,
    "abc": "ABC ABCMeta abstractmethod",
    "array": "array _array_reconstructor",
    "bisect": "*",
    "calendar": "isleap monthrange",
    "cmath": "*",
    "codecs": "encode",
    "_codecs": "encode",
    "collections": "OrderedDict Counter deque defaultdict ChainMap UserDict UserList UserString",
    "collections.abc": "*",
    "copy": "copy deepcopy",
    "copyreg": "_reconstructor __newobj__ __newobj_ex__",
    "dataclasses": "Field field MISSING _MISSING_TYPE _HAS_DEFAULT_FACTORY_CLASS _FIELD_BASE KW_ONLY",
    "datetime": "*",
    "_pydatetime": "datetime date time timedelta timezone",
    "decimal": "*",
    "_decimal": "*",
    "_pydecimal": "Decimal Context",
    "difflib": "SequenceMatcher get_close_matches",
    "enum": "Enum IntEnum StrEnum Flag IntFlag EnumMeta EnumType auto",
    "fractions": "Fraction",
    "functools": "partial partialmethod cmp_to_key reduce _lru_cache_wrapper lru_cache cached_property wraps",
    "hashlib": "md5 sha1 sha256 sha512 blake2b blake2s",
    "heapq": "*",
    "inspect": "Signature Parameter _ParameterKind _empty",
    "io": "BytesIO StringIO",
    "_io": "BytesIO StringIO",
    "ipaddress": "*",
    "itertools": "*",
    "json": "loads dumps",
    "logging": "getLogger Logger",
    "math": "*",
    "numbers": "*",
    "operator": "itemgetter",  # and its functions, below
    "_operator": "itemgetter",
    "pathlib": "Path PurePath PosixPath PurePosixPath WindowsPath PureWindowsPath",
    "random": "Random",
    "re": "compile _compile",
    "re._compiler": "_compile",
    "sre_compile": "_compile",
    "statistics": "*",
    "string": "capwords Template",
    "struct": "pack unpack Struct",
    "textwrap": "dedent fill indent shorten wrap",
    "time": "time time_ns monotonic perf_counter struct_time strftime strptime gmtime localtime",
    "types": (
        "SimpleNamespace MappingProxyType GenericAlias UnionType NoneType EllipsisType NotImplementedType MethodType "
        "FunctionType BuiltinFunctionType CodeType CellType ModuleType"
    ),
    "unicodedata": "*",
    "urllib.parse": "urlparse urlsplit parse_qs quote unquote quote_plus unquote_plus",
    "uuid": "UUID SafeUUID",
    "weakref": "ref proxy WeakKeyDictionary WeakValueDictionary WeakSet",
    "zoneinfo": "ZoneInfo",
}
_OTHERS = re.compile(
    r"_?operator\.(?!attrgetter|methodcaller|call|setitem|delitem)\w+"
    r"|typing\.(?!ForwardRef)_?[A-Z]\w*|builtins\.\w+(Error|Exception|Warning|Exit|Interrupt|Iteration)"
)
_WITH_METHODS = ("builtins", "collections", "datetime", "decimal", "fractions", "itertools", "uuid")

# Whole functions and classes, of which pickle itself would only keep the name: their code stands in the file.
_BY_VALUE = re.compile(
    r"(cloudpickle\.cloudpickle(_fast)?|joblib\.externals\.cloudpickle\.cloudpickle(_fast)?)\.(?!load|dump|Pickler|Cloud)\w+"
    r"|dill\._dill\._(create_\w+|load_type|get_attr|import_module|setitems|shims\.\w+)"
    r"|types\.(CodeType|FunctionType|CellType|ModuleType)"
)
IMPORTS = re.compile(r"(.*\.)?(subimport|dynamic_subimport|_import_module)")

# Not in Python's library: commands, other files, other pickles, text that is run.
_REFUSED = re.compile(
    r"(pip|setuptools|pkg_resources|_distutils_hack|cffi|_cffi_backend|IPython|ipykernel|jupyter\w*|paramiko|fabric|invoke|pexpect"
    r"|ptyprocess|plumbum|sh|psutil|requests|urllib3|httpx|httpcore|aiohttp|websockets?|boto3|botocore|s3fs|gcsfs|fsspec|smart_open"
    r"|yaml|ruamel|jsonpickle|execnet|rpyc|Pyro[45]?|numexpr|win32\w*|pywintypes|gdb|uv|payoff)(\..*)?"
    r"|numpy\.(load|save\w*|loadtxt|savetxt|genfromtxt|fromfile|fromregex|memmap|DataSource)"
    r"|numpy\.(f2py|distutils|testing|ctypeslib|compat)(\..*)?|numpy\.lib\.(_?npyio|_datasource|format|_format_impl)(\w*)(\..*)?"
    r"|numpy\._?core\.(memmap|records\.fromfile)(\..*)?|numpy\..*\b(runstring|exec_command)"
    r"|pandas\.(read_\w+|eval)|pandas\.(io|compat\.pickle_compat)(\..*)?|scipy\.(io|datasets)(\..*)?|skops\.io\.loads?|statsmodels\.iolib\.smpickle\.\w+|pandas\.core\.computation(\..*)?|pandas\.core\.frame\.DataFrame\.(eval|query|to_\w+)"
    r"|joblib\.(load|dump|Parallel)|joblib\.(parallel|pool|executor|numpy_pickle_compat)(\..*)?"
    r"|joblib\.numpy_pickle\.(load|dump|_unpickle|NumpyUnpickler|NDArrayWrapper|ZNDArrayWrapper)(\..*)?|joblib\.externals\.loky(\..*)?"
    r"|(cloudpickle|dill)(\..*)?\.(loads?|dumps?|load_session|load_module\w*|source(\..*)?|_eval_repr|_getattribute|temp(\..*)?)"
    r"|torch\.(load|save|hub|serialization|package|compile|utils\.(cpp_extension|collect_env|bottleneck|model_zoo|data\.datapipes))(\..*)?"
    r"|torch\.(_inductor|_dynamo|distributed|multiprocessing|ops|_ops|classes|testing|jit\.(load|save|unsupported_tensor_ops|frontend))(\..*)?"
    r"|torch\.fx\.(graph_module\.\w+exec\w*|experimental\..*)|torch\._(C|utils_internal)\._?(load|import)\w*"
    r"|(keras|tf_keras|tensorflow)\..*\b(load_model|get_file|unsafe_deserialization|enable_unsafe_\w+|func_load|read_file|write_file)"
    r"|tensorflow\.python\.(platform|lib\.io)(\..*)?|sympy\..*\b(sympify|parse_expr|lambdify)|sklearn\.(datasets|utils\._testing)(\..*)?"
    r"|(mlflow|transformers|datasets|huggingface_hub|sentence_transformers)\.(.*\b)?(load\w*|from_pretrained|pipeline|snapshot_download|hf_hub_download)"
    r"|xgboost\.collective(\..*)?|dask\..*\b(read_\w+|compute)|distributed(\..*)?|ray(\..*)?|nltk\.(data|downloader)(\..*)?"
)
_MODULE_NAMES = (
    "os nt posix sys subprocess commands shutil socket builtins __builtin__ importlib ctypes _ctypes pickle "
    "_pickle cPickle marshal runpy pty code multiprocessing threading asyncio tempfile pdb"
)
_MODULES = frozenset(_MODULE_NAMES.split())
_WITHIN_NAMES = "os sys subprocess commands shutil socket builtins importlib ctypes marshal runpy pty"
_WITHIN = frozenset(_WITHIN_NAMES.split())
_DEED_NAMES = (
    "eval exec exec_ execfile system popen Popen check_output check_call run_path run_module tofile to_pickle to_csv "
    "to_parquet to_json to_sql write_text write_bytes unlink rmdir mkdir touch rename replace symlink_to chmod "
    "load loads load_model download read_csv read_pickle"
)
_IMPORTED_AS = ("np", "pd", "numpy", "pandas", "scipy", "joblib", "torch", "tf")  # modules that modules hold
_DEEDS = frozenset(_DEED_NAMES.split())
_HIDDEN = re.compile(
    r"__(?!newobj|main__|pyx_unpickle|randomstate_ctor|generator_ctor|bit_generator_ctor)\w*|func_globals|f_globals|gi_frame"
)
_WORD = re.compile(r"[\w<>]+(\.[\w<>]+)*")
_TOP_LEVEL = re.compile(r"__main__|__torch__|__mp_main__")
_DANGEROUS_START = re.compile(
    r"system|popen|spawn|exec|eval|load|open|import|modules|environ|fork|kill|write|remove|unlink"
)
_OF_FILES = ("pathlib", "io", "_io", "logging")


def is_plain(attribute: str) -> bool:
    """Whether an attribute of that name may be asked for while a pickle is opened."""
    plain = re.fullmatch(r"[A-Za-z]\w*", attribute) and not _DANGEROUS_START.match(attribute)
    return bool(plain) and attribute not in _DEEDS


def has_plain_methods(module: str, name: str) -> bool:
    """Whether its attributes are those of data: not a module's, and not a file's."""
    return module not in _OF_FILES and not IMPORTS.fullmatch(f"{module}.{name}")


def is_name(module: str, name: str) -> bool:
    """Whether it could be a name at all."""
    return bool(_WORD.fullmatch(module) and _WORD.fullmatch(name)) and len(module) + len(name) < 1_000


def real(module: str, name: str) -> tuple[str, str]:
    """The name as Python 3 knows it: pickles of Python 2 say __builtin__ and copy_reg."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def is_code(module: str, name: str) -> bool:
    """Whether it puts functions or classes together whose code is in the file."""
    return _BY_VALUE.fullmatch(f"{module}.{name}") is not None


def refused(names: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the names that no model needs and that could do harm."""
    real_names = {name: real(*name) for name in names}
    others = {known for known in real_names.values() if not _is_pythons(known[0])}
    known_bad = _by_picklescan({known for known in others if not is_code(*known)})
    return sorted(name for name, known in real_names.items() if known in known_bad or _is_refused(*known))


def _is_refused(module: str, name: str) -> bool:
    full = f"{module}.{name}"
    if any(_HIDDEN.match(part) or part.strip("_") in _MODULES for part in name.split(".")):
        return True
    if _is_pythons(module):
        return not _is_allowed(module, name)
    *path, last = name.split(".")
    aside = _WITHIN & set(module.split(".")) or last in _DEEDS  # six.moves.builtins.eval
    aside = aside or any(part in sys.stdlib_module_names or part in _IMPORTED_AS for part in path)  # json.codecs.open
    return bool(aside or _REFUSED.fullmatch(full)) and not is_code(module, name)


def _is_pythons(module: str) -> bool:
    root = module.partition(".")[0]
    return not _TOP_LEVEL.fullmatch(root) and (root in sys.stdlib_module_names or root in _MODULES or root == "test")


def _is_allowed(module: str, name: str) -> bool:
    full = f"{module}.{name}"
    first, *further = name.split(".")
    if further and module not in _WITH_METHODS:
        return False
    names = _ALLOWED.get(module, "")
    return names == "*" or first in names.split() or _OTHERS.fullmatch(full) is not None


def _by_picklescan(names: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Asked through its own door: a pickle that holds these names and does nothing with them."""
    written = b"".join(f"c{module}\n{name}\n0".encode() for module, name in sorted(names))
    rated = scan_pickle_bytes(io.BytesIO(b"\x80\x02" + written + b"N."), "names")
    return {(found.module, found.name) for found in rated.globals if found.safety is SafetyLevel.Dangerous}
