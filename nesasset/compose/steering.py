"""Steering: what is made likelier than the model has it, so that a piece is what was asked for. Plan, request and rows in, log probabilities out.

Some of it is settled before the first row: ranges, chords, scale, notes that would clash with given ones. The rest answers to what
stands, once a bar: a servo for the density and one for the mode.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.chords import CONSONANT, chord_tones
from nesasset.compose.calibration import Calibration
from nesasset.compose.given import Given
from nesasset.compose.key import PROFILES, fits, key_profile, mode_profile, pitch_class_weights
from nesasset.compose.plan import Plan
from nesasset.compose.request import Request, class_onsets
from nesasset.compose.scales import SCALES, pitch_classes
from nesasset.units import PITCH_RANGES, VOICES
from nesasset.vocabulary import CONTROLS, HIGHEST_PITCH, LOWEST_PITCH, ONSET_ID, SILENT, pitch_to_id

FORBIDDEN: Final = np.float32(-1e9)
RANGES: Final = (*((pitch_to_id(PITCH_RANGES[voice][0]), pitch_to_id(HIGHEST_PITCH)) for voice in VOICES[:3]), (ONSET_ID, ONSET_ID))
ASKED_MODE: Final = 0.6  # what a note gains in log probability for a standard deviation in the key profile of a mode that was asked for
THEME_MODE: Final = 0.05  # the same of what tells the mode of theme or caller from the other, in any bar
MODE_SERVO: Final = 10.0  # how much more, for each unit by which what stands correlates too little with its key
MODE_MARGIN: Final = 0.1  # by which it is to correlate more with its key than with any of the other mode
MODE_LIMIT: Final = 1.0
HIGH_LOSS: Final = np.array((0.0, 0.1, 0.0), dtype=np.float32)[:, None]  # what pitches of P1, P2 and TR lose for each octave above HIGH_FROM
HIGH_FROM: Final = 69
ASKED_CHORD: Final = (0.7, 0.7, 1.4)  # what notes outside a chord that was asked for lose in log probability: P1, P2, TR
GIVEN_CHORD: Final = (0.35, 0.35, 0.7)  # the same beside given notes, over the chords that were found for these
CLASH: Final = 2.0  # what a bass note loses in log probability that would be dissonant under all given notes of the next beat
CLASH_ROWS: Final = 4
SERVO: Final = 1.5  # what an onset gains in log probability where there are too few by a factor of e
SERVO_LIMIT: Final = 1.2
SERVO_ROWS: Final = 32  # rows at the wanted density that are taken as heard before the first
MELODIC: Final = np.array((1, 1, 1, 0), dtype=np.float32)


class Steering:
    """What the rows of one plan gain in log probability; the same for all drafts but for what stands in them."""

    def __init__(self, request: Request, plan: Plan, given: Given, told: NDArray[np.integer], calibration: Calibration) -> None:
        """Settle what does not depend on what stands.

        Args:
            request: What was asked for.
            plan: The form.
            given: Cells that stand already.
            told: (n_controls,) classes that the model is told.
            calibration: The model's.
        """
        self.request, self.plan, self.given, self.calibration = request, plan, given, calibration
        controls = dict(zip(CONTROLS, told.tolist(), strict=True))
        self.density = controls["density"]
        asked = (request.mode or request.wishes.motif) and not request.wishes.chords
        self.mode = tuple(PROFILES)[controls["mode"] - 1] if asked and controls["mode"] else None
        """The mode that the piece is to be in; None where it may be in any, or has the caller's chords."""
        self.ranges = np.array(RANGES)
        """Lowest and highest cell of each voice, (4, 2)."""
        if request.wishes.melody_pitches:
            self.ranges[0] = [pitch_to_id(pitch) for pitch in request.wishes.melody_pitches]
        self.fixed = self._fixed()
        """What pitches gain before the filter whatever stands, (n_bars, 2, 3, 88)."""
        self.clash = self._clash()
        """What pitches of a free bass lose in each row, (n_rows, 88); None where no notes are given above it."""

    def pitch_bias(self, stands: NDArray[np.integer], pull: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return what pitches of the bar to come gain before the filter, (2, B, 1, 3, 88), by its halves.

        The less what stands is taken for the key that the piece is to be in, the more its mode is leaned on.

        Args:
            stands: (B, n, 4), the rows before.
            pull: (B,), how much more it is leaned on.
        """
        fixed = self.fixed[stands.shape[1] // self.plan.bar_rows][:, None, None]
        if self.mode is None:
            return np.broadcast_to(fixed, (2, len(stands), *fixed.shape[2:]))
        own, other = self.mode_fits(stands)
        short = np.clip(MODE_SERVO * (MODE_MARGIN + other - own), 0, MODE_LIMIT) if stands.shape[1] else np.zeros(len(stands))
        profile = mode_profile(self.plan.tonic, self.mode)[(np.arange(88) + LOWEST_PITCH) % 12]
        lean = np.asarray((THEME_MODE + short + pull)[:, None] * profile, dtype=np.float32)
        return np.asarray(fixed + lean[:, None, None])

    def mode_fits(self, stands: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how well drafts, (B, n, 4), correlate with the key that they are to be in, and with the best of the other mode, (B,) each."""
        assert self.mode is not None
        return fits(np.stack([pitch_class_weights(cells) for cells in stands]), self.plan.tonic, self.mode)

    def onset_push(self, stands: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return what onsets gain in each row of the bar to come after what stands, (B, n, 4): (B, bar_rows, 4); melodic ones so that the piece becomes as dense as was asked for."""
        row = stands.shape[1]
        bars = self.plan.classes[: row // self.plan.bar_rows + 1, :3]
        playing = (bars != SILENT).sum(axis=0) > 0
        # The model's classes are of the rows in which a voice plays; who asks for a density hears the rests as well.
        heard = np.full(len(bars), playing.sum()) if self.request.onsets else (bars != SILENT).sum(axis=1)
        rows = np.repeat(heard, self.plan.bar_rows)[:row].sum()
        onsets = (stands[:, :, :3] >= ONSET_ID)[:, :, playing].sum(axis=(1, 2))
        told = class_onsets(self.density)
        wanted = self.request.onsets or told
        measured = (onsets + wanted * SERVO_ROWS) / (rows + SERVO_ROWS)
        push = SERVO * np.log(wanted / np.maximum(measured, 1e-3))
        start = np.log(wanted / told)  # from the middle of the class to what was asked for
        servo = np.asarray(start + self.request.steering * np.clip(push, -SERVO_LIMIT, SERVO_LIMIT), dtype=np.float32)
        return self.calibration.onsets_by_row(self.plan.bar_rows) + (servo[:, None] * MELODIC)[:, None]

    def _fixed(self) -> NDArray[np.float32]:
        """Return what pitches gain by ranges and the caller's chords, mode and scale."""
        wishes, tonic = self.request.wishes, self.plan.tonic
        bias = np.zeros((self.plan.n_bars, 2, 3, 88), dtype=np.float32)
        pitch_class = (np.arange(88) + LOWEST_PITCH) % 12
        outside = ~chord_tones()[self.plan.chords][:, :, pitch_class]  # (n_bars, 2, 88)
        beside = self._beside()
        if wishes.chords:
            bias -= outside[:, :, None] * np.array(ASKED_CHORD, dtype=np.float32)[:, None]
        elif beside.any():
            bias -= (beside[:, None, None] & outside)[:, :, None] * np.array(GIVEN_CHORD, dtype=np.float32)[:, None]
        bias -= HIGH_LOSS * (np.arange(88) + LOWEST_PITCH - HIGH_FROM) / 12
        if self.mode and (wishes.mode or wishes.motif):  # what stands around a motif is to be in its key
            bias += ASKED_MODE * key_profile(tonic, self.mode)[pitch_class]
        elif not wishes.chords:
            bias += self.calibration.pitch_classes(tonic, self.mode)[pitch_class]
        if wishes.scale:
            bias[..., ~pitch_classes(SCALES[wishes.scale], tonic)[pitch_class]] = FORBIDDEN
        for voice, (low, high) in enumerate(self.ranges[:2]):
            bias[:, :, voice, : low - ONSET_ID] = FORBIDDEN
            bias[:, :, voice, high - ONSET_ID + 1 :] = FORBIDDEN
        return bias

    def _beside(self) -> NDArray[np.bool_]:
        """Return in which bars something is to be written beside a given melodic voice, (n_bars,)."""
        cells = self.given.cells.reshape(self.plan.n_bars, -1, 4)[:, :, :3]
        return np.asarray((cells >= ONSET_ID).any(axis=(1, 2)) & (cells < 0).any(axis=(1, 2)))

    def _clash(self) -> NDArray[np.float32] | None:
        """Return what pitches of a free bass lose under the given notes of the beat that begins in each row.

        The model speaks the bass of a row before its melody, so that it does not know what stands there.
        """
        above, n_rows = self.given.cells[:, :2], len(self.given.cells)
        rows, voices = np.nonzero(above >= ONSET_ID)
        if not len(rows) or (self.given.cells[:, 2] >= 0).all():
            return None
        interval = (above[rows, voices][:, None] - ONSET_ID - np.arange(88)) % 12
        dissonant = ~np.isin(interval, CONSONANT)
        worth = np.zeros((n_rows + CLASH_ROWS, 88), dtype=np.float32)
        count = np.zeros((n_rows + CLASH_ROWS, 1), dtype=np.float32)
        np.add.at(worth, rows, dissonant)
        np.add.at(count, rows, 1.0)
        ahead = np.arange(n_rows)[:, None] + np.arange(CLASH_ROWS)
        return np.asarray(-CLASH * worth[ahead].sum(axis=1) / np.maximum(count[ahead].sum(axis=1), 1.0), dtype=np.float32)
