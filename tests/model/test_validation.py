"""What a run is judged by."""

from model.data.dataset import read_config
from model.training.validation import VIEWS, Validation
from tests.model.helpers import SAMPLE


def test_scenes_take_the_sizes_of_cameras_by_turns_and_are_the_same_in_every_run():
    names = read_config(SAMPLE / "data.yaml").names
    once, again = (list(Validation([], names, str(SAMPLE), 5).pictures()) for _ in range(2))
    assert [image.shape[1::-1] for image, _ in once] == [*VIEWS, *VIEWS, VIEWS[0]]
    assert all((a == b).all() for (a, _), (b, _) in zip(once, again, strict=True))
