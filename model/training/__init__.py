"""The parts of a training run; model.trainer puts them together."""
