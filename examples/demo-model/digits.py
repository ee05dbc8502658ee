"""The digits of scikit-learn as pictures: shared by train.py and evaluate.py."""

import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

PICTURE_PX = 64
DIGIT_PX = 8
SPLIT_SEED = 20

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def halves():
    """(digits, labels) of the half that the model is trained on, and of the half that it never sees.

    Digits are [n, 8, 8] in 0..1; ink is 1. Both halves have about the same number of each digit.
    """
    data = load_digits()
    digits = (data.images / 16).astype(np.float32)
    seen, unseen, seen_labels, unseen_labels = train_test_split(
        digits, data.target, test_size=0.5, random_state=SPLIT_SEED, stratify=data.target
    )
    return (seen, seen_labels), (unseen, unseen_labels)


def shrink(pictures):
    """[n, 64, 64] to [n, 8, 8], by the mean of each square of 8x8 pixels."""
    side = PICTURE_PX // DIGIT_PX
    return pictures.reshape(-1, DIGIT_PX, side, DIGIT_PX, side).mean(axis=(2, 4))


def enlarge(digits):
    """[n, 8, 8] to [n, 64, 64]: smooth, and such that `shrink` gives the digits back (to 0.01 on average, as values stay in 0..1)."""

    def cubic(small):
        side = PICTURE_PX // DIGIT_PX
        return zoom(small, (1, side, side), order=3, mode="nearest", grid_mode=True)

    pictures = cubic(digits)
    for _ in range(8):
        pictures = np.clip(pictures + cubic(digits - shrink(pictures)), 0, 1)
    return pictures.astype(np.float32)
