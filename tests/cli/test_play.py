"""`wann play`: episodes in a window, as a film or as pictures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gymnasium
import pytest
from PIL import Image

from tests.commands import Run
from tests.networks import random_network
from wann.network import load_network

pytest.importorskip("pygame")


@pytest.fixture
def file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a network for CartPole-v1; nothing is shown on a screen."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    random_network(4, 2, 10, 30, seed=1).save(folder / "net.json")
    return folder / "net.json"


def first_return(file: Path, seed: int) -> tuple[float, int]:
    """Return what the network reaches in Gymnasium, by its outputs alone, and in how many steps."""
    network = load_network(file)
    environment = gymnasium.make("CartPole-v1")
    observation, _ = environment.reset(seed=seed)
    total, steps, done = 0.0, 0, False
    while not done:
        outputs = network(observation[None].astype(float))[0]
        observation, reward, terminated, truncated, _ = environment.step(int(outputs.argmax()))
        total, steps, done = total + float(reward), steps + 1, terminated or truncated
    return total, steps


def test_a_film_is_made_and_each_return_is_gymnasiums(file: Path, wann: Run) -> None:
    ended = wann("play", "net.json", "--video", "x.gif", "--episodes", "2", "--seed", "5")
    assert (ended.code, ended.err) == (0, "")
    *episodes, film = ended.out.splitlines()
    frames = 0
    for seed, line in zip((5, 6), episodes, strict=True):
        total, steps = first_return(file, seed)
        assert line == f"seed {seed}: return {total:.1f} in {steps} steps"
        frames += steps + 1
    assert film == f"film  x.gif, {frames} frames"
    with Image.open("x.gif") as picture:
        assert picture.size == (600, 400)


def test_a_window_is_played_to_the_end(file: Path, wann: Run) -> None:
    ended = wann("play", "net.json")
    total, steps = first_return(file, 0)
    assert ended.out == f"seed 0: return {total:.1f} in {steps} steps\n"


def test_each_frame_can_be_saved_as_a_picture(file: Path, wann: Run) -> None:
    assert wann("play", "net.json", "--frames", "frames").code == 0
    _, steps = first_return(file, 0)
    assert len(list((file.parent / "frames").iterdir())) == steps + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what to play: a run or a network's file"),
        (["net.json", "--video", "x.avi"], "--video must end in .gif or .mp4, not 'x.avi'"),
        (["net.json", "--video", "old.gif"], "'old.gif' exists already; --force replaces it"),
        (["net.json", "--video", "x.gif", "--frames", "x"], "give --video or --frames, not both"),
        (["net.json", "--episodes", "0"], "--episodes must be between 1 and 10,000"),
        (["net.json", "--seed", "-1"], "--seed must be between 0"),
        (["net.json", "--weight", "inf"], "--weight must be finite, but inf was given"),
        (["net.json", "--task", "Acrobot-v1"], "needs 6 inputs and 3 outputs, but the network has"),
        (["nameless.json"], "'nameless.json' names no task; add --task ID"),
        (["module.json"], "which runs a module's code; add --task theirs:Id-v0 if you trust it"),
    ],
)
def test_wrong_input_is_told_in_one_line_and_writes_nothing(
    file: Path, wann: Run, arguments: list[str], message: str
) -> None:
    (file.parent / "old.gif").write_text("old")
    network = load_network(file)
    dataclasses.replace(network, task="").save("nameless.json")
    dataclasses.replace(network, task="theirs:Id-v0").save("module.json")
    before = sorted(file.parent.iterdir())
    ended = wann("play", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert sorted(file.parent.iterdir()) == before
    assert (file.parent / "old.gif").read_text() == "old"
