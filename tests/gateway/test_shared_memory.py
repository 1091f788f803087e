"""Regions of shared memory, with real objects in it: what is read and written, and what is refused."""

import os
import secrets
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import pytest

from payoff.codecs.places import Place, place
from payoff.errors import BadInput, Conflict, NotFound, TooLarge
from payoff.gateway.shared_memory import REGIONS_MAX, Region, Regions

BYTES_MAX = 4_096


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    made = SharedMemory(f"payoff-{secrets.token_hex(6)}", create=True, size=1_024)
    yield made
    made.close()
    made.unlink()


@pytest.fixture
def regions(tmp_path: Path) -> Regions:
    return Regions(tmp_path, allowed=True, bytes_max=BYTES_MAX)


def test_a_tensor_is_read_from_its_place_and_an_answer_written_to_another(
    regions: Regions, memory: SharedMemory
) -> None:
    regions.register(Region("r", f"/{memory.name}", 100, 50))
    assert memory.buf is not None
    memory.buf[110:114] = b"abcd"
    assert regions.read(Place("r", 10, 4)) == b"abcd"
    regions.write(Place("r", 20, 8), b"answer")
    assert bytes(memory.buf[120:128]) == b"answer\0\0"


def test_every_worker_of_a_home_knows_a_region(tmp_path: Path, regions: Regions, memory: SharedMemory) -> None:
    other = Regions(tmp_path, allowed=True, bytes_max=BYTES_MAX)
    region = Region("in/put é.x", memory.name, 0, 8)
    regions.register(region)
    assert other.registered(None) == other.registered("in/put é.x") == [region]
    other.unregister("in/put é.x")
    assert regions.registered(None) == []
    with pytest.raises(NotFound, match="no region"):
        regions.read(Place("in/put é.x", 0, 1))


def test_a_name_stands_for_one_region_until_it_is_unregistered(regions: Regions, memory: SharedMemory) -> None:
    region = Region("r", memory.name, 0, 8)
    regions.register(region)
    regions.register(region)
    with pytest.raises(Conflict, match="unregister it first"):
        regions.register(Region("r", memory.name, 0, 16))
    regions.unregister(None)
    regions.register(Region("r", memory.name, 0, 16))


def test_a_name_whose_memory_is_gone_may_be_used_again(regions: Regions, memory: SharedMemory) -> None:
    gone = SharedMemory(f"payoff-{secrets.token_hex(6)}", create=True, size=8)
    regions.register(Region("r", gone.name, 0, 8))
    gone.close()
    gone.unlink()
    with pytest.raises(BadInput, match="there is none of that name"):
        regions.read(Place("r", 0, 8))
    regions.register(Region("r", memory.name, 0, 8))
    assert regions.read(Place("r", 0, 8)) == bytes(8)


def test_memory_that_its_owner_shrinks_is_refused_and_ends_nobody(regions: Regions, memory: SharedMemory) -> None:
    regions.register(Region("r", memory.name, 0, 1_024))
    os.truncate(f"/dev/shm/{memory.name}", 100)
    with pytest.raises(BadInput, match="has become smaller"):
        regions.read(Place("r", 0, 200))
    with pytest.raises(BadInput, match="has become smaller"):
        regions.write(Place("r", 90, 20), b"a" * 20)
    assert Path(f"/dev/shm/{memory.name}").stat().st_size == 100
    os.truncate(f"/dev/shm/{memory.name}", 1_024)


@pytest.mark.parametrize(
    "key", ["", "/", ".", "..", "/..", "../etc/passwd", "a/b", "//a", "/a\0b", "x" * 300, "nobody-made-this"]
)
def test_only_objects_of_shared_memory_can_be_regions(regions: Regions, key: str) -> None:
    with pytest.raises(BadInput, match="shared memory"):
        regions.register(Region("r", key, 0, 1))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.symlink_to("/etc/passwd"), id="a link"),
        pytest.param(lambda path: path.mkdir(), id="a folder"),
        pytest.param(lambda path: os.mkfifo(path), id="a pipe"),
    ],
)
def test_nothing_else_that_lies_there_can_be_a_region(regions: Regions, make: Callable[[Path], Any]) -> None:
    path = Path(f"/dev/shm/payoff-{secrets.token_hex(6)}")
    make(path)
    try:
        with pytest.raises(BadInput, match="shared memory"):
            regions.register(Region("r", path.name, 0, 1))
    finally:
        (path.rmdir if path.is_dir() and not path.is_symlink() else path.unlink)()


@pytest.mark.parametrize(("offset", "size"), [(0, 0), (0, 1_025), (1_000, 25), (-1, 5), (0, -1), (2**80, 1)])
def test_a_region_lies_within_its_object(regions: Regions, memory: SharedMemory, offset: int, size: int) -> None:
    with pytest.raises(BadInput, match="which has 1,024 bytes"):
        regions.register(Region("r", memory.name, offset, size))


@pytest.mark.parametrize(("offset", "size"), [(0, 101), (100, 1), (2**62, 1)])
def test_a_tensor_lies_within_its_region(regions: Regions, memory: SharedMemory, offset: int, size: int) -> None:
    regions.register(Region("r", memory.name, 0, 100))
    for use in (regions.read, lambda there: regions.write(there, b"")):
        with pytest.raises(BadInput, match="it has 100 bytes"):
            use(Place("r", offset, size))


def test_a_tensor_has_a_limit_and_so_have_regions(regions: Regions, memory: SharedMemory) -> None:
    with pytest.raises(TooLarge, match="the limit is 4,096"):
        regions.read(Place("r", 0, BYTES_MAX + 1))
    for number in range(REGIONS_MAX):
        regions.register(Region(str(number), memory.name, 0, 8))
    with pytest.raises(TooLarge, match="unregister some"):
        regions.register(Region("one more", memory.name, 0, 8))
    with pytest.raises(BadInput, match="1 to 200 characters"):
        regions.register(Region("x" * 201, memory.name, 0, 8))


def test_an_answer_that_is_larger_than_its_place_is_refused(regions: Regions, memory: SharedMemory) -> None:
    regions.register(Region("r", memory.name, 0, 100))
    with pytest.raises(BadInput, match="the answer has 5 bytes; region 'r' was given 4 for it"):
        regions.write(Place("r", 0, 4), b"12345")


def test_a_door_that_others_reach_takes_no_shared_memory(tmp_path: Path, memory: SharedMemory) -> None:
    regions = Regions(tmp_path, allowed=False, bytes_max=BYTES_MAX)
    refused: list[Callable[[], Any]] = [
        lambda: regions.register(Region("r", memory.name, 0, 8)),
        lambda: regions.unregister(None),
        lambda: regions.registered(None),
        lambda: regions.read(Place("r", 0, 8)),
        lambda: regions.write(Place("r", 0, 8), b""),
    ]
    for use in refused:
        with pytest.raises(BadInput, match="for callers on this machine"):
            use()


def test_where_a_tensor_lies_is_in_its_parameters() -> None:
    assert place({"binary_data_size": 4}, "input 'x'") is None
    said = {"shared_memory_region": "r", "shared_memory_byte_size": 8}
    assert place(said, "input 'x'") == Place("r", 0, 8)
    assert place(said | {"shared_memory_offset": 4}, "input 'x'") == Place("r", 4, 8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shared_memory_region": None},
        {"shared_memory_byte_size": None},
        {"shared_memory_byte_size": -1},
        {"shared_memory_byte_size": True},
        {"shared_memory_offset": -1},
        {"shared_memory_offset": 0.5},
    ],
)
def test_half_a_place_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="input 'x' lies in region"):
        place({"shared_memory_region": "r", "shared_memory_byte_size": 8} | wrong, "input 'x'")
