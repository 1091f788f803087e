"""What all arms of an endpoint together take and give."""

import numpy as np
import pytest

from payoff.errors import BadInput
from payoff.records import Arm, Field, Policy, Revision, Role, Served, Signature, Type
from payoff.records.merge import arms_inputs, common, inputs, outputs


def revision(*signatures: tuple[tuple[Field, ...], tuple[Field, ...]], policy: Policy = Policy()) -> Revision:  # noqa: B008
    arms = [
        Arm(f"arm-{n}", Role.SHADOW, "fraud", n, Served("onnx", "0" * 64, Signature(*fields)))
        for n, fields in enumerate(signatures, 1)
    ]
    return Revision("e", 1, 0, "anna", "", tuple(arms), policy)


def test_inputs_are_those_of_all_arms_then_the_context_then_the_route() -> None:
    one = (Field("age", Type.INT64), Field("job", Type.TEXT))
    two = (Field("job", Type.TEXT), Field("pay", Type.FLOAT64))
    policy = Policy(context=(Field("called_on", Type.DATE),), route_by="customer")
    assert inputs(revision((one, ()), (two, ()), policy=policy)) == (
        *one,
        two[1],
        Field("called_on", Type.DATE, nullable=True),
        Field("customer", Type.TEXT, nullable=True),
    )


def test_a_column_that_a_model_takes_may_route_and_be_context() -> None:
    taken = (Field("age", Type.INT64),)
    policy = Policy(route_by="age", context=(Field("age", Type.INT32),))
    assert inputs(revision((taken, ()), policy=policy)) == taken


@pytest.mark.parametrize(("flags", "nullable"), [((True, True), True), ((True, False), False), ((False, True), False)])
def test_an_input_may_be_null_if_every_arm_that_takes_it_allows_it(flags: tuple[bool, bool], nullable: bool) -> None:
    arms = [((Field("job", Type.TEXT, nullable=flag),), ()) for flag in flags]
    assert inputs(revision(*arms, ((), ()))) == (Field("job", Type.TEXT, nullable=nullable),)


def test_an_output_is_never_null_only_if_every_arm_gives_it() -> None:
    given = (Field("p", Type.FLOAT32),)
    assert outputs(revision(((), given), ((), given))) == given
    assert outputs(revision(((), given), ((), ()))) == (Field("p", Type.FLOAT32, nullable=True),)


def test_types_of_one_kind_widen() -> None:
    arms = [((Field("n", kind),), (Field("p", size),)) for kind, size in
            ((Type.INT32, Type.FLOAT64), (Type.INT64, Type.FLOAT32), (Type.UINT8, Type.FLOAT32))]  # fmt: skip
    assert inputs(revision(*arms)) == (Field("n", Type.INT64),)
    assert outputs(revision(*arms)) == (Field("p", Type.FLOAT64),)


def test_types_that_do_not_fit_are_refused_naming_both_versions() -> None:
    arms = [((Field("age", kind),), ()) for kind in (Type.INT64, Type.TEXT)]
    with pytest.raises(BadInput, match="fraud v1 takes 'age' as int64 and fraud v2 as text; on one endpoint"):
        inputs(revision(*arms))


def test_shapes_that_do_not_fit_are_refused() -> None:
    arms = [((), (Field("x", Type.FLOAT32, shape),)) for shape in ((3,), (4,))]
    with pytest.raises(BadInput, match=r"fraud v1 gives 'x' as float32\[3\] and fraud v2 as float32\[4\]"):
        outputs(revision(*arms))


def test_the_context_may_not_contradict_a_model() -> None:
    policy = Policy(context=(Field("age", Type.TEXT),))
    with pytest.raises(BadInput, match="fraud v1 takes 'age' as int64 and the context as text"):
        inputs(revision(((Field("age", Type.INT64),), ()), policy=policy))


@pytest.mark.parametrize("one", list(Type))
@pytest.mark.parametrize("other", list(Type))
def test_the_common_type_holds_every_value_of_both(one: Type, other: Type) -> None:
    wide = common(one, other)
    assert wide == common(other, one)
    if one is other:
        assert wide is one
    elif wide is not None:
        assert (wide.is_integer, wide.is_float) == (one.is_integer, one.is_float) == (other.is_integer, other.is_float)
        assert all(np.can_cast(kind.dtype, wide.dtype, "safe") for kind in (one, other))


def test_columns_that_differ_only_in_case_are_refused() -> None:
    signature = Signature((Field("Age", Type.INT64), Field("age", Type.INT64)), ())
    arm = Arm("champion", Role.CHAMPION, "bank", 1, Served("onnx", "0" * 64, signature))
    with pytest.raises(BadInput, match="upper and lower case"):
        arms_inputs((arm,), Policy())


def test_a_column_without_a_name_is_refused() -> None:
    named, nameless = Field("x", Type.FLOAT64), Field("", Type.FLOAT64)
    with pytest.raises(BadInput, match="without a name"):
        inputs(revision(((nameless,), (named,))))
    with pytest.raises(BadInput, match="without a name"):
        outputs(revision(((named,), (nameless,))))
