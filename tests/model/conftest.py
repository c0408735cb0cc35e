"""One thread: those of test runs side by side wait for each other, and busily."""

import os

import torch

os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start
torch.set_num_threads(1)
