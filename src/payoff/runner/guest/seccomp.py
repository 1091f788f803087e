"""Seccomp: which system calls a model's process is refused.

Refused are those that reach into other processes, change the machine, make memory that outlives the process, or leave
its process group, and sockets: all of them without the network, all but the internet's with it. A refused call fails
with an error, so a library that can do without does without. Landlock does not keep the rights and times of files, nor
how much of the machine another process gets: calls that set these do nothing, and say that they did, so that copying a
file goes on, and placing a thread. Filters as in seccomp(2) and linux/seccomp.h.
"""

from __future__ import annotations

import ctypes
import errno

from .kernel import ARCH, SECCOMP, call

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06  # linux/bpf_common.h
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_NUMBER, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data

_NAMESPACES = 0x7E020000  # every CLONE_NEW* that clone(2) takes
_AF_INET, _AF_INET6, _AF_NETLINK, _SOCK_STREAM = 2, 10, 16, 1
_PR_SET_PDEATHSIG = 1

# name: (x86_64, aarch64), -1 where there is none; asm/unistd_64.h and asm-generic/unistd.h
_REFUSED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_by_handle_at": (304, 265), "unshare": (272, 97),
    "setns": (308, 268), "bpf": (321, 280), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "syslog": (103, 116), "vhangup": (153, 58), "lookup_dcookie": (212, 18), "nfsservctl": (180, -1),
    "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1), "personality": (135, 92),
    "userfaultfd": (323, 282), "fanotify_init": (300, 262),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "setsid": (112, 157), "setpgid": (109, 154),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
}  # fmt: skip
_IDLE = {  # files' rights, owners and times: also of files that the process may not open
    "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, -1), "fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54),
    "utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1), "utimensat": (280, 88),
    "file_setattr": (469, 469),
}  # fmt: skip
_OWN = {  # when and where a process runs: of the caller only, which is 0 in the first argument
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
}  # fmt: skip
_OWN_SECOND = {"setpriority": (141, 140, 2), "ioprio_set": (251, 30, 3)}  # 0 in the second; the first is no user
_GROUPS = ("setsid", "setpgid")
_CLONE, _CLONE3, _SOCKET, _SOCKETPAIR, _PRCTL, _PRLIMIT = (
    (56, 220), (435, 435), (41, 198), (53, 199), (157, 167), (302, 261),
)  # fmt: skip

Step = tuple[int, int, int, int]  # code, jump if true, jump if false, value


class _Step(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("steps", ctypes.POINTER(_Step)))


def restrict(network: bool, forks: bool = False) -> None:
    """From now on for this process and all it starts; OSError where the kernel has no seccomp.

    A process that forks for models (`forks`) may leave its children to groups and parents of their own.
    """
    if ARCH not in _AUDIT:
        raise OSError(errno.ENOSYS, f"no filter is written for {ARCH}")
    steps = program(ARCH, network, forks)
    made = (_Step * len(steps))(*[_Step(*step) for step in steps])
    call(SECCOMP, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(_Program(len(steps), made)))


def program(arch: str, network: bool, forks: bool = False) -> list[Step]:
    """The filter: foreign calls, then those with arguments to look at, then the plain ones."""
    at = list(_AUDIT).index(arch)
    steps: list[Step] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, _AUDIT[arch]), _refuse(errno.ENOSYS)]
    steps.append((_LOAD, 0, 0, _NUMBER))
    if arch == "x86_64":
        steps += [(_AT_LEAST, 0, 1, _X32), _refuse(errno.ENOSYS)]
    steps += [(_EQUAL, 0, 1, _CLONE3[at]), _refuse(errno.ENOSYS)]  # then the C library takes clone, which can be read
    steps += _if(_CLONE[at], 0, [(_ANY_BIT, 0, 1, _NAMESPACES), _refuse(errno.EPERM)])
    if not forks:
        steps += _if(_PRCTL[at], 0, [(_EQUAL, 0, 1, _PR_SET_PDEATHSIG), _refuse(errno.EPERM)])
    steps += _if(_PRLIMIT[at], 0, [(_EQUAL, 1, 0, 0), _refuse(errno.EPERM)])  # of itself only
    steps += _if(_SOCKETPAIR[at], 1, [(_AND, 0, 0, 0xF), (_EQUAL, 1, 0, _SOCK_STREAM), _refuse(errno.EACCES)])
    families = (_AF_INET, _AF_INET6, _AF_NETLINK) if network else ()
    known: list[Step] = [(_EQUAL, len(families) - place, 0, family) for place, family in enumerate(families)]
    steps += _if(_SOCKET[at], 0, [*known, _refuse(errno.EACCES)])
    for numbers in _OWN.values():
        steps += _if(numbers[at], 0, [(_EQUAL, 1, 0, 0), _refuse(0)])
    for *places, user in _OWN_SECOND.values():
        first = [(_EQUAL, 0, 1, user), _refuse(0)]
        steps += _if(places[at], 0, [*first, (_LOAD, 0, 0, _ARGS + 8), (_EQUAL, 1, 0, 0), _refuse(0)])
    for numbers in _IDLE.values():
        if numbers[at] >= 0:
            steps += [(_EQUAL, 0, 1, numbers[at]), _refuse(0)]
    for name, numbers in _REFUSED.items():
        if numbers[at] >= 0 and not (forks and name in _GROUPS):
            steps += [(_EQUAL, 0, 1, numbers[at]), _refuse(errno.EPERM)]
    return [*steps, (_RETURN, 0, 0, _ALLOW)]


def _if(number: int, arg: int, then: list[Step]) -> list[Step]:
    """For one call: load the low half of an argument, look at it, and allow what was not refused."""
    body = [(_LOAD, 0, 0, _ARGS + 8 * arg), *then, (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(body), number), *body]


def _refuse(code: int) -> Step:
    return (_RETURN, 0, 0, _ERRNO | code)
