"""The frozen plan: what it fixes, when it may change, and what it refuses."""

import pytest

from workflow.lib.common import store
from workflow.lib.plan import catalogue, freeze, spec

CLEAN = {"commit": "c" * 40, "dirty": False}
TOY = {"toy": {"sha256": "1", "seeds": [100, 107]}}
FIRST = {"claims": {"a": "1", "b": "2"}, "experiments": TOY}
OTHER = {"claims": {"a": "9", "b": "2"}, "experiments": TOY}


def moved(first, sha256="2"):
    """Return the first plan with other settings of the experiment, and seeds from `first` on."""
    return FIRST | {"experiments": {"toy": {"sha256": sha256, "seeds": [first, first + 7]}}}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return a function that freezes what it is given; the plan is written to `plan.root`."""
    monkeypatch.setattr(freeze.provenance, "git_state", lambda root: plan.state)

    def plan(present, reason=""):
        monkeypatch.setattr(freeze, "now", lambda: present)
        extended = freeze.extended(tmp_path, reason, {})
        store.write_json(tmp_path / freeze.FILE, extended)
        return extended

    plan.state, plan.root = CLEAN, tmp_path
    return plan


def test_a_plan_fixes_every_claim_and_every_experiment():
    present = freeze.now()
    assert set(present["claims"]) == set(catalogue.load("claims"))
    assert set(present["experiments"]) == set(spec.experiments())
    assert freeze.differences({"entries": [present]}, present) == []


def test_what_is_not_frozen_cannot_be_published(plan):
    assert freeze.refusal(plan.root).startswith("there is no frozen plan; make freeze")
    plan(FIRST)
    assert freeze.refusal(plan.root) == ""


def test_what_changed_since_cannot_be_published(plan, monkeypatch):
    plan(FIRST)
    monkeypatch.setattr(freeze, "now", lambda: OTHER)
    assert freeze.refusal(plan.root).startswith("claim 'a' changed since the plan was frozen; ")
    monkeypatch.setattr(freeze, "now", lambda: OTHER | moved(200) | {"claims": OTHER["claims"]})
    assert "claim 'a' and 1 more changed since" in freeze.refusal(plan.root)


def test_a_change_takes_a_reason_and_other_seeds(plan):
    plan(FIRST)
    with pytest.raises(ValueError, match="nothing changed since"):
        plan(FIRST)
    with pytest.raises(ValueError, match="say why it changes: --reason"):
        plan(OTHER)
    with pytest.raises(ValueError, match=r"'toy' changed, .* 107 .*; give it first_seed: 200"):
        plan(moved(100), "a defect")
    assert len(plan(moved(200), "a defect")["entries"]) == 2
    with pytest.raises(ValueError, match="give it first_seed: 300"):
        plan(moved(200, "3"), "another defect")


def test_what_is_not_committed_is_not_frozen(plan):
    for dirty in (True, None):
        plan.state = CLEAN | {"dirty": dirty}
        with pytest.raises(ValueError, match="commit everything"):
            plan(FIRST)


def test_a_claim_is_fixed_at_the_entry_since_which_it_is_what_it_is(plan):
    plan(FIRST)
    plan.state = CLEAN | {"commit": "d" * 40}
    fixed = freeze.fixed(plan(OTHER, "a defect"))
    assert (fixed["a"]["commit"], fixed["b"]["commit"]) == ("d" * 40, "c" * 40)
    assert freeze.fixed({"entries": []}) == {}
