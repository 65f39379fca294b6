"""Dividing trials: whole groups, no behavior lost where that can be, sizes as wanted."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from soupxr.errors import ArgumentError
from soupxr.training.split import Split, TrialSummary, make_folds, make_split


def trial(key, n_frames=100, positive=()):
    animal, session, _ = key.split("/")
    return TrialSummary(key, animal, f"{session}", n_frames, tuple(positive))


def trials(*keys, **settings):
    return [trial(key, **settings) for key in keys]


def grid(animals, sessions, each):
    """Equal trials: so many animals, sessions an animal and trials a session."""
    return trials(
        *(
            f"M{a}/S{s}/{t}"
            for a, s, t in itertools.product(range(animals), range(sessions), range(each))
        )
    )


@st.composite
def experiments(draw, behaviors=3):
    """At least three trials with distinct keys, of few groups, some behaviors rare."""
    keys = draw(
        st.lists(
            st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 3)),
            min_size=3,
            max_size=10,
            unique=True,
        )
    )
    rare = st.sampled_from([0, 0, 0, 1, 30])
    return [
        trial(
            f"M{animal}/S{session}/{number}",
            draw(st.integers(40, 400)),
            draw(st.tuples(*[rare] * behaviors)),
        )
        for animal, session, number in keys
    ]


def group_of(trial, by):
    return {"animal": trial.animal, "session": (trial.animal, trial.session)}.get(by, trial.key)


def lacking(parts, behaviors):
    """How many behaviors that occur are missing in a part, summed over parts."""
    occurs = [k for k in range(behaviors) if any(t.positive[k] for part in parts for t in part)]
    return sum(not any(t.positive[k] for t in part) for part in parts for k in occurs)


def all_divisions(experiment, by, n_parts):
    """Every way to put the groups into parts that are none of them empty."""
    groups = sorted({group_of(t, by) for t in experiment}, key=str)
    for places in itertools.product(range(n_parts), repeat=len(groups)):
        if len(set(places)) == n_parts:
            place = dict(zip(groups, places, strict=True))
            yield [[t for t in experiment if place[group_of(t, by)] == p] for p in range(n_parts)]


def parts_of(experiment, *keys):
    by_key = {t.key: t for t in experiment}
    return [[by_key[key] for key in part] for part in keys]


# ---------------------------------------------------------------- what is kept together


@settings(max_examples=60)
@given(experiments(), st.sampled_from(["animal", "session", "trial"]), st.integers(0, 5))
def test_whole_groups_stay_together(experiment, by, seed):
    groups = {group_of(t, by) for t in experiment}
    if len(groups) < 2:
        with pytest.raises(ArgumentError, match=r"^group: expected at least 2"):
            make_split(experiment, group=by, seed=seed)
        return
    split = make_split(experiment, group=by, seed=seed)
    assert split.group == by
    assert sorted(split.training + split.validation) == sorted(t.key for t in experiment)
    training, validation = (
        {group_of(t, by) for t in part}
        for part in parts_of(experiment, split.training, split.validation)
    )
    assert training
    assert validation
    assert not training & validation
    order = [t.key for t in experiment]
    assert list(split.training) == sorted(split.training, key=order.index)
    assert list(split.validation) == sorted(split.validation, key=order.index)


@pytest.mark.parametrize(
    ("experiment", "by"),
    [
        (grid(2, 1, 2), "animal"),
        (grid(5, 3, 2), "animal"),
        (grid(1, 2, 2), "session"),
        (grid(1, 1, 3), "trial"),
    ],
)
def test_by_default_the_largest_groups_of_which_there_are_two(experiment, by):
    assert make_split(experiment).group == by


def test_sessions_of_one_name_are_not_mixed_up_between_animals():
    experiment = trials("M1/S1/1", "M1/S1/2", "M2/S1/1", "M2/S1/2")
    for seed in range(5):
        split = make_split(experiment, group="session", seed=seed)
        assert {key[:2] for key in split.training}.isdisjoint({k[:2] for k in split.validation})


def test_folds_fall_back_to_smaller_groups_where_there_are_too_few_large_ones():
    experiment = grid(2, 2, 2)
    assert {len(fold) for fold in make_folds(experiment, 2)} == {4}
    sessions = make_folds(experiment, 4)
    assert all(len({key.rsplit("/", 1)[0] for key in fold}) == 1 for fold in sessions)
    assert [len(fold) for fold in make_folds(experiment, 8)] == [1] * 8


# ---------------------------------------------------------------- every behavior in both parts


@settings(max_examples=60)
@given(experiments(), st.integers(0, 5))
def test_no_division_lacks_fewer_behaviors(experiment, seed):
    split = make_split(experiment, seed=seed)
    least = min(lacking(parts, 3) for parts in all_divisions(experiment, split.group, 2))
    parts = parts_of(experiment, split.training, split.validation)
    note(f"{split}: {least} must lack")
    assert lacking(parts, 3) == least


@settings(max_examples=30)
@given(experiments(behaviors=2), st.integers(2, 3), st.integers(0, 5))
def test_no_division_into_folds_lacks_fewer_behaviors(experiment, n_folds, seed):
    experiment = experiment[:7]
    folds = make_folds(experiment, n_folds, group="trial", seed=seed)
    least = min(lacking(parts, 2) for parts in all_divisions(experiment, "trial", n_folds))
    assert lacking(parts_of(experiment, *folds), 2) == least


@pytest.mark.parametrize("n_pairs", [2, 4, 5, 6, 20])
@pytest.mark.parametrize("seed", range(4))
def test_the_few_divisions_that_serve_every_behavior_are_found(n_pairs, seed):
    # Behavior k occurs in trials 2k and 2k+1 alone, so each pair has to be parted.
    experiment = [
        trial(f"M1/S1/{t}", positive=[10 * (t // 2 == k) for k in range(n_pairs)])
        for t in range(2 * n_pairs)
    ]
    split = make_split(experiment, seed=seed)
    assert lacking(parts_of(experiment, split.training, split.validation), n_pairs) == 0


def test_the_one_trial_that_has_a_rare_behavior_is_learnt_from_or_validated_on_but_not_lost():
    experiment = [trial(f"M1/S1/{t}", positive=[50, 20 * (t == 3)]) for t in range(6)]
    split = make_split(experiment)
    # One part must lack it; the common behavior is in both.
    assert lacking(parts_of(experiment, split.training, split.validation), 2) == 1


# ---------------------------------------------------------------- sizes


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 1000), min_size=3, max_size=10),
    st.sampled_from([0.1, 0.2, 0.3, 0.5]),
    st.integers(0, 3),
)
def test_no_division_is_nearer_to_the_wanted_size(lengths, validation, seed):
    experiment = [trial(f"M1/S1/{t}", n) for t, n in enumerate(lengths)]
    split = make_split(experiment, validation=validation, seed=seed)

    def off(kept):
        return abs(sum(t.n_frames for t in kept) / sum(lengths) - validation)

    best = min(off(kept) for _, kept in all_divisions(experiment, "trial", 2))
    (kept,) = parts_of(experiment, split.validation)
    assert off(kept) == pytest.approx(best, abs=1e-6)


def test_many_equal_trials_are_divided_as_wanted():
    experiment = grid(20, 3, 5)
    split = make_split(experiment)
    assert split.group == "animal"
    assert len(split.validation) == 4 * 15
    assert len(make_split(experiment, group="trial", validation=0.25).validation) == 75


def test_a_behavior_is_shared_out_like_the_frames():
    # Half of the trials show it; a fifth of the frames and of the behavior are kept back.
    experiment = [trial(f"M1/S1/{t}", positive=[40 * (t % 2)]) for t in range(20)]
    split = make_split(experiment)
    assert len(split.validation) == 4
    assert sum(int(key.rsplit("/", 1)[1]) % 2 for key in split.validation) == 2


# ---------------------------------------------------------------- folds


@settings(max_examples=40)
@given(experiments(), st.integers(2, 3), st.integers(0, 5))
def test_folds_partition_the_trials_and_keep_groups_together(experiment, n_folds, seed):
    folds = make_folds(experiment, n_folds, seed=seed)
    assert len(folds) == n_folds
    assert all(folds)
    assert sorted(itertools.chain(*folds)) == sorted(t.key for t in experiment)
    by = next(
        by
        for by in ("animal", "session", "trial")
        if len({group_of(t, by) for t in experiment}) >= n_folds
    )
    groups = [{group_of(t, by) for t in part} for part in parts_of(experiment, *folds)]
    assert sum(map(len, groups)) == len(set().union(*groups))


@pytest.mark.parametrize(("count", "n_folds"), [(10, 5), (12, 3), (30, 4), (60, 5)])
def test_folds_of_equal_trials_are_balanced(count, n_folds):
    sizes = sorted(len(fold) for fold in make_folds(grid(1, 1, count), n_folds))
    assert sizes[-1] - sizes[0] <= 1


def test_as_many_folds_as_trials_leave_one_out():
    experiment = grid(1, 1, 9)
    assert sorted(make_folds(experiment, 9)) == [(t.key,) for t in experiment]


# ---------------------------------------------------------------- seeds


@settings(max_examples=20)
@given(experiments(), st.integers(0, 100))
def test_the_same_seed_divides_alike(experiment, seed):
    assert make_split(experiment, seed=seed) == make_split(experiment, seed=seed)
    assert make_folds(experiment, 2, seed=seed) == make_folds(experiment, 2, seed=seed)


@pytest.mark.parametrize("animals", [5, 30])
def test_other_seeds_keep_other_equal_animals_back(animals):
    kept = {make_split(grid(animals, 1, 2), seed=seed).validation for seed in range(10)}
    assert len(kept) > 2


# ---------------------------------------------------------------- what cannot be divided


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_trials(count):
    experiment = grid(1, 1, count)
    with pytest.raises(ArgumentError) as error:
        make_split(experiment)
    assert str(error.value).startswith("trials: expected at least 3")
    assert ("none" if not count else "M0/S0/0") in str(error.value)
    with pytest.raises(ArgumentError, match=r"^trials: expected at least 3"):
        make_folds(experiment, 2)


def test_too_few_groups_of_the_kind_asked_for():
    with pytest.raises(ArgumentError, match=r"^group: .* 2 groups .* '1 animal\(s\).*session"):
        make_split(grid(1, 2, 3), group="animal")
    with pytest.raises(ArgumentError, match=r"^group: .* 3 groups .* '2 animal\(s\)"):
        make_folds(grid(2, 2, 3), 3, group="animal")


def test_more_folds_than_trials():
    with pytest.raises(ArgumentError, match=r"^folds: expected at most 4, .*but got 5"):
        make_folds(grid(1, 1, 4), 5)


def test_a_kind_of_group_that_does_not_exist():
    with pytest.raises(ArgumentError, match=r"^group: expected one of 'animal', .*'cage'"):
        make_split(grid(2, 1, 2), group="cage")


@pytest.mark.parametrize("validation", [0, 1, -0.2, 1.5, float("nan")])
def test_a_part_that_is_none(validation):
    with pytest.raises(ArgumentError, match=r"^validation: expected a part between 0 and 1"):
        make_split(grid(2, 1, 2), validation=validation)


@pytest.mark.parametrize("folds", [1, 0, -1, 2.0, True, "3", None])
def test_a_number_of_folds_that_is_none(folds):
    with pytest.raises(ArgumentError, match=r"^folds: expected a whole number from 2"):
        make_folds(grid(2, 1, 2), folds)


def test_a_split_survives_being_written():
    split = make_split(grid(3, 2, 2), seed=4)
    assert Split.from_plain(json.loads(json.dumps(split.to_plain()))) == split


def test_trials_without_labels_are_divided_too():
    experiment = trials("M1/S1/1", "M2/S1/1", "M3/S1/1", n_frames=np.int64(70))
    assert len(make_split(experiment).validation) == 1
