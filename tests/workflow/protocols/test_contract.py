"""The contract of every protocol, and what is built from a specification."""

import dataclasses
import inspect

import pytest

import estimators
from workflow.lib import protocols
from workflow.lib.plan import spec
from workflow.lib.protocols import _build

ES = {"num_particles": 4, "sigma": 0.1, "truncation": 1, "resample_every": 2}
TIMED = {"name": "update_time", "args": {"against": "es_gen", "outer_steps": 2}}


def settings(**parts):
    """Return a specification of ES-Gen on the quadratic problem, with other parts."""
    usual = {
        "task": {"name": "quadratic", "args": {}},
        "estimator": {"name": "es_gen", "args": ES},
        "protocol": TIMED,
        "data": None,
    }
    return usual | parts


@pytest.mark.parametrize("name", spec.known("protocol"))
def test_a_protocol_is_a_config_and_a_run(name):
    module = __import__(f"workflow.lib.protocols.{name}", fromlist=["run"])
    expected = ["task", "factory", "seeds", "checkpoint", "config"]
    assert list(inspect.signature(module.run).parameters) == expected
    assert dataclasses.is_dataclass(module.Config)
    assert module.Config.__dataclass_params__.frozen
    for method in ("check", "particle_steps"):
        assert list(inspect.signature(getattr(module.Config, method)).parameters) == [
            "self",
            "task",
            "factory",
        ]
    documented = inspect.getdoc(module.Config)
    own = set(dataclasses.fields(module.Config)) - set(
        dataclasses.fields(base) if dataclasses.is_dataclass(base := module.Config.__base__) else ()
    )
    assert [field.name for field in own if f"{field.name}:" not in documented] == []


def test_a_job_is_built_from_its_specification():
    ready = protocols.assemble(settings(), None)
    ready.check()
    assert isinstance(ready.factory(ready.task), estimators.Estimator)
    assert ready.config.against == TIMED["args"]["against"]
    assert ready.factory(ready.task, truncation=2).truncation == 2
    assert _build.per_update(ready.task, ready.factory) == 4


@pytest.mark.parametrize(
    ("parts", "data", "text"),
    [
        ({"estimator": {"name": "es_gen", "args": {}}}, None, "es_gen: missing hyperparameter"),
        ({"task": {"name": "quadratic", "args": {"num_unit": 2}}}, None, "num_unit.*'num_units'"),
        ({}, {}, "quadratic takes no data"),
        ({"task": {"name": "lr_schedule", "args": {}}}, None, "lr_schedule needs data"),
        ({"protocol": {"name": "tuning", "args": {"gird": {}}}}, None, "'gird'.*'grid'"),
        ({"protocol": {"name": "update_time", "args": {}}}, None, "update_time: missing .*against"),
    ],
)
def test_what_does_not_fit_is_one_line(parts, data, text):
    with pytest.raises(ValueError, match=text):
        protocols.assemble(settings(**parts), data)


def test_an_estimator_that_cannot_be_is_refused_before_the_run():
    odd = {"name": "es_gen", "args": ES | {"num_particles": 3}}
    with pytest.raises(ValueError, match="num_particles=3 must be even"):
        protocols.assemble(settings(estimator=odd), None).check()
