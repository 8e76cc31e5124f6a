import gymnasium
import numpy as np
import pytest

from wann_envs import GreyPixels


class StillImage(gymnasium.Env):
    """An environment that always observes the same picture."""

    def __init__(self, image):
        self.image = image
        self.observation_space = gymnasium.spaces.Box(0, 255, image.shape, dtype=np.uint8)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.image, {}

    def step(self, action):
        return self.image, 0.0, False, False, {}


def random_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def shrunk(image, **parameters):
    observation, _ = GreyPixels(StillImage(image), **parameters).reset()
    return observation


def area_averages(image, size):
    """Return the mean luminance of size x size equal parts, by cutting pixels into size x size."""
    grey = image.astype(np.float64) @ [0.299, 0.587, 0.114] / 255.0
    fine = grey.repeat(size, axis=0).repeat(size, axis=1)
    return fine.reshape(size, image.shape[0], size, image.shape[1]).mean(axis=(1, 3))


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(84, 96, 8), (96, 96, 8), (7, 5, 3), (13, 11, 10), (9, 9, 9), (10, 4, 1)],
)
def test_each_value_is_the_mean_luminance_of_its_area(height, width, size):
    image = random_image(height, width)
    expected = area_averages(image, size)
    grey = shrunk(image, size=size, crop_bottom=0)
    np.testing.assert_allclose(grey, expected.ravel(), rtol=2e-7)


def test_a_pixel_on_a_border_counts_for_both_sides_by_its_area():
    image = np.zeros((3, 3, 3), dtype=np.uint8)
    image[1, 0] = 255
    grey = shrunk(image, size=2, crop_bottom=0)
    np.testing.assert_allclose(grey, [2 / 9, 0.0, 2 / 9, 0.0], rtol=1e-7)


def test_values_stand_row_by_row_from_the_top_left():
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[0:2, 14:16] = 255
    grey = shrunk(image, crop_bottom=0)
    assert np.flatnonzero(grey).tolist() == [7]


@pytest.mark.parametrize(("channel", "luminance"), [(0, 0.299), (1, 0.587), (2, 0.114)])
def test_colours_are_weighed_as_itu_r_601_says(channel, luminance):
    image = np.zeros((96, 96, 3), dtype=np.uint8)
    image[:, :, channel] = 255
    np.testing.assert_allclose(shrunk(image), np.full(64, luminance), rtol=1e-7)


def test_white_is_exactly_one_and_black_exactly_zero():
    white = np.full((96, 96, 3), 255, dtype=np.uint8)
    assert (shrunk(white) == 1.0).all()
    assert (shrunk(np.zeros_like(white)) == 0.0).all()


def test_the_bottom_rows_do_not_count_and_the_row_above_them_does():
    image = random_image(96, 96)
    expected = shrunk(image)
    image[84:] = 0
    np.testing.assert_array_equal(shrunk(image), expected)
    image[83] = 255 - image[83]
    assert not np.array_equal(shrunk(image), expected)
    np.testing.assert_allclose(shrunk(image), area_averages(image[:84], 8).ravel(), rtol=2e-7)


def test_observations_are_as_the_space_says_and_new_each_time():
    env = GreyPixels(StillImage(random_image(96, 96)))
    first, _ = env.reset()
    second, *_ = env.step(0)
    assert env.observation_space == gymnasium.spaces.Box(0.0, 1.0, (64,), dtype=np.float32)
    assert env.observation_space.contains(first)
    assert not np.shares_memory(first, second)


def test_an_image_that_is_not_contiguous_gives_the_same():
    image = random_image(96, 96)
    flipped_twice = image[:, ::-1].copy()[:, ::-1]
    np.testing.assert_array_equal(shrunk(flipped_twice), shrunk(image))


@pytest.mark.parametrize(
    "space",
    [
        gymnasium.spaces.Discrete(4),
        gymnasium.spaces.Box(-1.0, 1.0, (5,), dtype=np.float32),
        gymnasium.spaces.Box(0, 255, (96, 96), dtype=np.uint8),
        gymnasium.spaces.Box(0, 255, (96, 96, 4), dtype=np.uint8),
        gymnasium.spaces.Box(0.0, 1.0, (96, 96, 3), dtype=np.float32),
    ],
)
def test_observations_that_are_no_rgb_images_are_refused_in_one_line(space):
    env = StillImage(random_image(4, 4))
    env.observation_space = space
    with pytest.raises(
        ValueError, match=r"needs uint8 images .*, but the observations are"
    ) as raised:
        GreyPixels(env)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"size": 0}, "size must be a whole number between 1 and 10, but it is 0"),
        ({"size": 11}, "size must be a whole number between 1 and 10, but it is 11"),
        ({"size": 9, "crop_bottom": 12}, "size must be a whole number between 1 and 8, .* 9"),
        ({"size": 2.0}, "size must be a whole number between 1 and 10, but it is 2.0"),
        ({"size": True}, "size must be a whole number between 1 and 10, but it is True"),
        ({"crop_bottom": -1}, "crop_bottom must be a whole number between 0 and 19, .* -1"),
        ({"crop_bottom": 20}, "crop_bottom must be a whole number between 0 and 19, .* 20"),
    ],
)
def test_sizes_that_do_not_fit_the_image_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        GreyPixels(StillImage(random_image(20, 10)), **{"crop_bottom": 0, **parameters})


def test_car_racing_seen_grey_can_be_made_again_from_its_spec():
    pytest.importorskip("Box2D")
    env = GreyPixels(gymnasium.make("CarRacing-v3"), size=6)
    again = gymnasium.make(env.spec)
    try:
        first, _ = env.reset(seed=2)
        second, _ = again.reset(seed=2)
    finally:
        env.close()
        again.close()
    assert first.shape == (36,)
    assert first.std() > 0.0
    np.testing.assert_array_equal(first, second)
