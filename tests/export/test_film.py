import gymnasium
import numpy as np
import pytest
from PIL import Image

from tests.networks import random_network
from wann.export.film import Player, check_film, save_film, save_pictures
from wann.export.policy import to_policy
from wann.network import Network
from wann.tasks import MissingDependency, load_task
from wann.tasks.card import Card
from wann.tasks.control import control_task


class Coloured(gymnasium.Env):
    """Ends after 4 steps; its pictures change their colour with each."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 100}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.count = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(2, dtype=np.float32), {}

    def step(self, action):
        self.count += 1
        return np.zeros(2, dtype=np.float32), 1.5, self.count == 4, False, {}

    def render(self):
        return np.full((6, 9, 3), 50 * self.count, dtype=np.uint8)


@pytest.fixture
def player():
    """Return a player that films `Coloured`."""
    gymnasium.register("Coloured-v0", Coloured)
    task = control_task(Card("Coloured-v0", environment="Coloured-v0"))
    network = Network(random_network(2, 2, 3, 8, seed=1).topology, 1.0)
    player = Player(task, to_policy(network, task), "rgb_array")
    yield player
    player.close()
    del gymnasium.registry["Coloured-v0"]


def test_episodes_are_counted_and_each_reset_and_step_gives_a_frame(player):
    frames = list(player.frames([3, 4]))
    assert [int(each[0, 0, 0]) for each in frames] == [0, 50, 100, 150, 200] * 2
    played = [(each.seed, each.steps, each.total, each.done) for each in player.episodes]
    assert played == [(3, 4, 6.0, True), (4, 4, 6.0, True)]


def test_a_gif_leaves_out_frames_that_come_faster_than_viewers_show_them(player, tmp_path):
    assert save_film(tmp_path / "x.gif", player.frames([0]), player.rate) == 3
    shades = []
    with Image.open(tmp_path / "x.gif") as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (3, (9, 6), 20)
        for number in range(3):
            film.seek(number)
            shades.append(film.convert("RGB").getpixel((4, 3))[0])
    assert shades == [0, 100, 200]


def test_a_slow_gif_has_every_frame(player, tmp_path):
    assert save_film(tmp_path / "x.gif", player.frames([0]), 10.0) == 5
    with Image.open(tmp_path / "x.gif") as film:
        assert (film.n_frames, film.info["duration"]) == (5, 100)


def test_frames_are_saved_as_pictures(player, tmp_path):
    assert save_pictures(tmp_path / "frames", player.frames([0])) == 5
    assert sorted(each.name for each in (tmp_path / "frames").iterdir())[-1] == "00005.png"
    with Image.open(tmp_path / "frames" / "00005.png") as picture:
        assert picture.getpixel((0, 0)) == (200, 200, 200)


def test_an_mp4_has_every_frame_though_the_width_is_odd(player, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    assert save_film(tmp_path / "x.mp4", player.frames([0]), 10.0) == 5
    count, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "x.mp4"))
    assert (count, seconds) == (5, pytest.approx(0.5))


def test_a_film_of_another_kind_and_one_without_its_library_are_refused(monkeypatch):
    check_film("x.GIF")
    with pytest.raises(ValueError, match=r"--video must end in \.gif or \.mp4, not 'x\.avi'"):
        check_film("x.avi")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install 'wann-search\[video\]', or name"):
        check_film("x.mp4")


def test_an_environment_without_the_mode_is_refused(player):
    with pytest.raises(ValueError, match="has no render mode 'ansi'; it has: rgb_array"):
        Player(player.task, player.policy, "ansi")


def test_a_window_needs_a_display(player, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="there is no display for a window here; --video"):
        Player(player.task, player.policy, "human")


def test_a_drawing_package_that_is_missing_is_named(player, monkeypatch):
    def fail(self):
        raise gymnasium.error.DependencyNotInstalled("pygame is not installed")

    monkeypatch.setattr(Coloured, "render", fail)
    with pytest.raises(MissingDependency, match=r"pip install 'wann-search\[render\]'"):
        list(player.frames([0]))


def test_cart_pole_is_filmed_as_gymnasium_draws_it(monkeypatch):
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    task = load_task("CartPole-v1")
    network = Network(random_network(4, 2, 3, 8, seed=1).topology, 1.0)
    player = Player(task, to_policy(network, task), "rgb_array")
    frame = next(player.frames([7]))
    environment = gymnasium.make("CartPole-v1", render_mode="rgb_array")
    environment.reset(seed=7)
    np.testing.assert_array_equal(frame, environment.render())
    environment.close()
    player.close()
