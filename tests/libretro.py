"""A libretro core run through ctypes, without a window: for tests of our cartridges in somebody else's console. No test is in here."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_double, c_float, c_int16, c_size_t, c_uint, c_void_p
from pathlib import Path

import numpy as np

# libretro.h: the environment commands that a core cannot do without.
_GET_CAN_DUPE, _GET_SYSTEM_DIRECTORY, _SET_PIXEL_FORMAT, _GET_VARIABLE, _GET_SAVE_DIRECTORY = 3, 9, 10, 15, 31
_XRGB8888, _RGB565 = 1, 2
JOYPAD, DEVICE_GAMEPAD = 1, 257
BUTTONS = {"b": 0, "select": 2, "start": 3, "up": 4, "down": 5, "left": 6, "right": 7, "a": 8}


class _Variable(ctypes.Structure):
    _fields_ = (("key", c_char_p), ("value", c_char_p))


class _Game(ctypes.Structure):
    _fields_ = (("path", c_char_p), ("data", c_void_p), ("size", c_size_t), ("meta", c_char_p))


class _AvInfo(ctypes.Structure):
    _fields_ = (
        *((name, c_uint) for name in ("width", "height", "max_width", "max_height")),
        ("aspect", c_float),
        ("frames_a_second", c_double),
        ("sample_rate_hz", c_double),
    )


class Core:
    """A core with one game; its picture and sound pile up here."""

    def __init__(self, library: str, game: Path, folder: Path, options: Mapping[str, str]) -> None:
        self.core = ctypes.CDLL(library)
        self.sound: list[np.ndarray] = []
        self.picture = np.zeros((0, 0, 3), dtype=np.uint8)
        self.held: set[str] = set()
        self.pixel_format = 0
        self.options = {key.encode(): value.encode() for key, value in options.items()}
        self.folder = os.fsencode(folder)
        self._callbacks = {  # kept alive as long as the core
            "environment": CFUNCTYPE(c_bool, c_uint, c_void_p)(self._environment),
            "video_refresh": CFUNCTYPE(None, c_void_p, c_uint, c_uint, c_size_t)(self._video),
            "audio_sample": CFUNCTYPE(None, c_int16, c_int16)(lambda left, right: None),
            "audio_sample_batch": CFUNCTYPE(c_size_t, POINTER(c_int16), c_size_t)(self._audio),
            "input_poll": CFUNCTYPE(None)(lambda: None),
            "input_state": CFUNCTYPE(c_int16, c_uint, c_uint, c_uint, c_uint)(self._input),
        }
        for name, callback in self._callbacks.items():
            getattr(self.core, f"retro_set_{name}")(callback)
        self.core.retro_init()
        self.data = game.read_bytes()
        buffer = ctypes.create_string_buffer(self.data, len(self.data))
        self.core.retro_load_game.restype = c_bool
        info = _Game(os.fsencode(game), ctypes.cast(buffer, c_void_p), len(self.data), None)
        assert self.core.retro_load_game(ctypes.byref(info)), "the core refuses the game"
        self.core.retro_set_controller_port_device(0, DEVICE_GAMEPAD)
        self.info = _AvInfo()
        self.core.retro_get_system_av_info(ctypes.byref(self.info))

    def run(self, n_frames: int, *held: str) -> np.ndarray:
        """Run frames with buttons down and return their sound, float of shape (n_samples,), the left side."""
        self.sound.clear()
        self.held = set(held)
        for _ in range(n_frames):
            self.core.retro_run()
        return np.concatenate(self.sound).astype(float)

    def close(self) -> None:
        """Give the core back."""
        self.core.retro_unload_game()
        self.core.retro_deinit()

    def _environment(self, command: int, data: int | None) -> bool:
        command &= 0xFFFF
        if command in {_GET_SYSTEM_DIRECTORY, _GET_SAVE_DIRECTORY}:
            ctypes.cast(data, POINTER(c_char_p))[0] = self.folder
        elif command == _GET_CAN_DUPE:
            ctypes.cast(data, POINTER(c_bool))[0] = True
        elif command == _SET_PIXEL_FORMAT:
            self.pixel_format = ctypes.cast(data, POINTER(c_uint))[0]
        elif command == _GET_VARIABLE:
            variable = ctypes.cast(data, POINTER(_Variable))[0]
            for key, value in self.options.items():
                if variable.key.startswith(key):
                    variable.value = value
                    return True
            return False
        else:
            return False
        return True

    def _video(self, data: int | None, width: int, height: int, pitch: int) -> None:
        if not data:
            return
        raw = np.frombuffer(ctypes.string_at(data, pitch * height), dtype=np.uint8).reshape(height, pitch)
        if self.pixel_format == _XRGB8888:
            self.picture = raw[:, : 4 * width].reshape(height, width, 4)[:, :, 2::-1].copy()
            return
        words = raw[:, : 2 * width].copy().view("<u2").astype(np.uint32)
        assert self.pixel_format == _RGB565
        channels = (words >> 11 << 3, (words >> 5 & 63) << 2, (words & 31) << 3)
        self.picture = np.stack(channels, axis=-1).astype(np.uint8)

    def _audio(self, data, n_frames: int) -> int:
        self.sound.append(np.ctypeslib.as_array(data, (2 * n_frames,))[::2].copy())
        return n_frames

    def _input(self, port: int, device: int, index: int, button: int) -> int:
        return int(port == 0 and device & 0xFF == JOYPAD and any(BUTTONS[name] == button for name in self.held))
