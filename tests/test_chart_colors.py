"""Colors of the charts can be read by everyone: contrast by WCAG, and eyes that lack a kind of cone."""

import numpy as np
import pytest
from tolerance import assert_agree

from service.pages.charts import drawing

MODES = ("light", "dark")
# Linear RGB as those see it who lack the cones for red, green or blue (Machado et al. 2009, severity 1).
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(color):
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts])


def contrast(one, other):
    """Contrast ratio of WCAG 2."""
    darker, lighter = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_by_the_letter():
    assert_agree(contrast("#000000", "#ffffff"), 21.0)
    assert_agree(contrast("#777777", "#ffffff"), 4.48, 2e-3)


@pytest.mark.parametrize("mode", MODES)
def test_colors_can_be_read(mode):
    colors = drawing.COLORS[mode]
    for text in (colors.text, colors.note):
        assert contrast(text, colors.background) >= 4.5
    for mark in (colors.mark, colors.positive, colors.negative, colors.faded):
        assert contrast(mark, colors.background) >= 3
    for step, ink in zip(colors.steps, colors.on_steps, strict=True):
        assert contrast(ink, step) >= 4.5
    away = [contrast(step, colors.background) for step in colors.steps]
    assert away[:4] == sorted(away[:4], reverse=True)
    assert away[3:] == sorted(away[3:])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_gain_and_loss_differ_for_every_eye(mode, deficiency):
    colors = drawing.COLORS[mode]
    seen = np.asarray(DEFICIENCIES[deficiency])
    apart = [
        (colors.positive, colors.negative),
        (colors.mark, colors.faded),
        *zip(colors.steps[:3], colors.steps[:3:-1], strict=True),
    ]
    for one, other in apart:
        assert np.linalg.norm(seen @ (linear(one) - linear(other))) > 0.1, (one, other)
