#!/usr/bin/env bash
# What the game's CI runs: the music from the lock, the gate, where it came from, and the game itself without screen or sound.
set -euo pipefail
cd "$(dirname "$0")"
nesasset build --locked --report build-report.json
nesasset build --check
nesasset report -o provenance
SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy PYGAME_HIDE_SUPPORT_PROMPT=1 python game.py --frames 60
