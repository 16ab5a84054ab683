"""The 2A03 against sound that is not ours: Mesen2 playing the same cycle-exact writes, and a recording of a console.

Without the references of chip_measures these tests are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chip_measures
import pytest

pytestmark = pytest.mark.skipif(not chip_measures.ARCHIVE.exists(), reason="the reference recordings are not at hand")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Give the unpacked references."""
    with chip_measures.unpacked(chip_measures.ARCHIVE) as place:
        yield place


@pytest.mark.parametrize("name", chip_measures.MESEN_TONES)
def test_constant_tones_agree_with_mesen(folder: Path, name: str) -> None:
    """A tone is Mesen's to 65 dB."""
    assert chip_measures.tone_agreement_db(folder, name) >= 65


@pytest.mark.parametrize("which", chip_measures.MESEN_SONGS)
def test_a_song_agrees_with_mesen(folder: Path, which: str) -> None:
    """Each voice of a real song, and the mix, is Mesen's to 50 dB: no timer and no counter is a tick off."""
    assert chip_measures.song_agreement_db(folder, which) >= 50


@pytest.mark.parametrize("name", chip_measures.APU_MIXER)
def test_a_channel_and_its_inverse_cancel(folder: Path, name: str) -> None:
    """What apu_mixer leaves of a channel and its inverse through $4011 is far below the beep, and as in Mesen."""
    ours, theirs = chip_measures.apu_mixer_db(folder, name)
    assert ours <= chip_measures.APU_MIXER[name][1]
    assert abs(ours - theirs) <= 2


@pytest.fixture(scope="module")
def recording(folder: Path) -> chip_measures.Recording:
    """Return our and the console's volume_tests."""
    return chip_measures.console(folder)


@pytest.mark.parametrize("which", chip_measures.PULSE_RAMPS)
def test_the_pulse_volumes_are_the_consoles(recording: chip_measures.Recording, which: str) -> None:
    """Volumes 15 to 1 of one half-and-half pulse are a real console's to 0.15 dB, of two in unison to 0.3 dB."""
    assert chip_measures.ramp_error_db(recording, which) <= chip_measures.PULSE_RAMPS[which][-1]


@pytest.mark.parametrize("dmc", chip_measures.TRIANGLES)
def test_the_triangle_is_the_consoles(recording: chip_measures.Recording, dmc: int) -> None:
    """The triangle beside $4011 at rest, at 48 and at 96 is a real console's to 0.6 dB, with the usual trim."""
    assert abs(chip_measures.triangle_error_db(recording, dmc)) <= 0.6
