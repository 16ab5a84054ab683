/* The hot path of the renderer, compiled: the control pass of `chip`, the level changes of `oscillators`, the sums of
   `mixer` and `steps`, the recursions of `filters`. Each function does what the Python of the same name does, and gives the
   same numbers: the control pass is integer arithmetic, sums of steps are exact, and the filters' operations come in the
   same order. Compile with -ffp-contract=off: a fused multiplication would round once where Python rounds twice.

   Written against the stable ABI of Python 3.11; knows numpy's arrays by the buffer protocol only. */

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "float64 arithmetic must not be wider than 64 bits: install without the extension"
#endif

/* One more clone of plain loops where the compiler and the C library can choose between clones at load time. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

#ifdef _MSC_VER
#define restrict __restrict
#endif

#define VERSION 2 /* extension.VERSION */

typedef int64_t i64;

/* Whether work is long enough to let other threads have the interpreter meanwhile. A frame of a live player is not: it takes
   some 20 us, and whoever gives the interpreter away beside a busy thread waits 5 ms until it comes back. */
#define LONG_CYCLES 300000
#define LONG_SAMPLES 8192
#define BEGIN_IF_LONG(is_long) { PyThreadState *saved = (is_long) ? PyEval_SaveThread() : NULL;
#define END_IF_LONG if (saved) PyEval_RestoreThread(saved); }

/* The state of a chip: `chip.power_on`, number by number. */

typedef struct { i64 volume, constant, loop, decay, divider, restart; } Envelope;
typedef struct { i64 tick, period, position, sequence, amplitude, moving; } Track;
typedef struct { i64 duty, period, length, sweep, divider, reload; Envelope envelope; Track track; } Pulse;
typedef struct { i64 period, length, linear, linear_load, control, reload; Track track; } Triangle;
typedef struct { i64 reg, length; Envelope envelope; Track track; } Noise;
typedef struct { i64 rate, loop, level, tick, bits, shift, buffer, start, size, address, left; } Dmc;
typedef struct {
    i64 enabled, odd, five, frame_start, next_tick, reset_at, reset_value;
    Pulse pulses[2];
    Triangle triangle;
    Noise noise;
    Dmc dmc;
} State;

#define STATE_SIZE ((Py_ssize_t)(sizeof(State) / sizeof(i64)))

/* Tables: `tables`. */

static const int LENGTHS[32] = {10, 254, 20, 2,  40, 4,  80, 6,  160, 8,  60, 10, 14, 12, 26, 14,
                                12, 16,  24, 18, 48, 20, 96, 22, 192, 24, 72, 26, 16, 28, 32, 30};
static const uint8_t DUTIES[4][8] = {
    {0, 1, 0, 0, 0, 0, 0, 0}, {0, 1, 1, 0, 0, 0, 0, 0}, {0, 1, 1, 1, 1, 0, 0, 0}, {1, 0, 0, 1, 1, 1, 1, 1}};

typedef struct {
    int noise[16], dmc[16];
    int ticks[2][4], lengths[2];
} Console;

static const Console NTSC = {
    {4, 8, 16, 32, 64, 96, 128, 160, 202, 254, 380, 508, 762, 1016, 2034, 4068},
    {428, 380, 340, 320, 286, 254, 226, 214, 190, 160, 142, 128, 106, 84, 72, 54},
    {{7457, 14913, 22371, 29829}, {7457, 14913, 22371, 37281}},
    {29830, 37282}};
static const Console PAL = {
    {4, 8, 14, 30, 60, 88, 118, 148, 188, 236, 354, 472, 708, 944, 1890, 3778},
    {398, 354, 316, 298, 276, 236, 210, 198, 176, 148, 132, 118, 98, 78, 66, 50},
    {{8313, 16627, 24939, 33252}, {8313, 16627, 24939, 41565}},
    {33254, 41566}};
static const Console *const CONSOLES[3] = {&NTSC, &PAL, &NTSC}; /* ntsc, pal, dendy */

/* Sequences laid end to end, and where they change: `oscillators.Tables`. A short one is laid out for many rounds, so that
   most segments read on in one piece. */

enum { LONG = 32767, ORBITS = 353, NOISE_STEPS = 2 * LONG, ROUNDS = 64, SHORT_STEPS = ROUNDS * 4 * 32 };
typedef struct {
    int offset, length; /* in steps */
    int changes_offset, n_changes;
} Sequence;

typedef struct {
    const Sequence *sequences;
    int n_sequences;
    const uint8_t *values;           /* of each step */
    const uint16_t *changes_before;  /* of each step: changes at it or at an earlier one */
    const uint16_t *changes;         /* steps whose value is not that of the step before */
    const uint8_t *changed_values;   /* and their values */
} Tables;

static Sequence noise_sequences[ORBITS + 1];
static uint8_t noise_values[NOISE_STEPS], noise_changed_values[NOISE_STEPS];
static uint16_t noise_before[NOISE_STEPS], noise_changes[NOISE_STEPS];
static uint16_t noise_states[NOISE_STEPS]; /* LFSR */
static uint16_t long_place[LONG + 1], short_sequence[LONG + 1], short_place[LONG + 1];
static Sequence pulse_sequences[4], triangle_sequences[2];
static uint8_t pulse_values[SHORT_STEPS], pulse_changed_values[SHORT_STEPS];
static uint16_t pulse_before[SHORT_STEPS], pulse_changes[SHORT_STEPS];
static uint8_t triangle_values[SHORT_STEPS], triangle_changed_values[SHORT_STEPS];
static uint16_t triangle_before[SHORT_STEPS], triangle_changes[SHORT_STEPS];

static const Tables PULSE_TABLES = {pulse_sequences, 4, pulse_values, pulse_before, pulse_changes, pulse_changed_values};
static const Tables TRIANGLE_TABLES = {
    triangle_sequences, 2, triangle_values, triangle_before, triangle_changes, triangle_changed_values};
static const Tables NOISE_TABLES = {
    noise_sequences, ORBITS + 1, noise_values, noise_before, noise_changes, noise_changed_values};

static int next_state(int state, int mode) {
    int feedback = (state ^ state >> (mode ? 6 : 1)) & 1;
    return state >> 1 | feedback << 14;
}

static void find_changes(
    Sequence *sequences, int n, const uint8_t *values, uint16_t *before, uint16_t *changes, uint8_t *changed_values) {
    int found = 0;
    for (int i = 0; i < n; i++) {
        Sequence *sequence = &sequences[i];
        const uint8_t *v = values + sequence->offset;
        sequence->changes_offset = found;
        for (int at = 0; at < sequence->length; at++) {
            if (v[at] != v[at ? at - 1 : sequence->length - 1]) {
                changes[found] = (uint16_t)at;
                changed_values[found++] = v[at];
            }
            before[sequence->offset + at] = (uint16_t)(found - sequence->changes_offset);
        }
        sequence->n_changes = found - sequence->changes_offset;
    }
}

static void make_tables(void) {
    int state = 1;
    noise_sequences[0].offset = 0, noise_sequences[0].length = LONG;
    for (int at = 0; at < LONG; at++) {
        noise_states[at] = (uint16_t)state;
        long_place[state] = (uint16_t)at;
        state = next_state(state, 0);
    }
    int at = LONG, found = 1;
    for (int first = 1; first <= LONG; first++) {
        if (short_sequence[first])
            continue;
        noise_sequences[found].offset = at;
        state = first;
        do {
            noise_states[at] = (uint16_t)state;
            short_sequence[state] = (uint16_t)found;
            short_place[state] = (uint16_t)(at - noise_sequences[found].offset);
            at++;
            state = next_state(state, 1);
        } while (state != first);
        noise_sequences[found].length = at - noise_sequences[found].offset;
        found++;
    }
    for (at = 0; at < NOISE_STEPS; at++)
        noise_values[at] = (uint8_t)(1 - (noise_states[at] & 1));
    find_changes(noise_sequences, ORBITS + 1, noise_values, noise_before, noise_changes, noise_changed_values);
    for (int i = 0; i < 4; i++) {
        pulse_sequences[i].offset = ROUNDS * 8 * i, pulse_sequences[i].length = ROUNDS * 8;
        for (int step = 0; step < ROUNDS * 8; step++)
            pulse_values[ROUNDS * 8 * i + step] = DUTIES[i][step % 8];
    }
    find_changes(pulse_sequences, 4, pulse_values, pulse_before, pulse_changes, pulse_changed_values);
    for (int i = 0; i < 2; i++) {
        triangle_sequences[i].offset = ROUNDS * 32 * i, triangle_sequences[i].length = ROUNDS * 32;
        for (int at = 0; at < ROUNDS * 32; at++) {
            int step = at % 32;
            triangle_values[ROUNDS * 32 * i + at] = (uint8_t)(i ? 15 : 2 * (step < 16 ? 15 - step : step - 16));
        }
    }
    find_changes(triangle_sequences, 2, triangle_values, triangle_before, triangle_changes, triangle_changed_values);
}

/* Segments: `chip.Segments`, a row each. */

typedef struct { double start, first_tick, period, count, position, sequence, amplitude; } Row;
typedef struct {
    Row *rows;
    size_t size, room;
} Rows;

typedef struct {
    State *s;
    const Console *console;
    const uint8_t *memory;
    i64 memory_size;
    i64 starts[4];
    Rows rows[5];
    int failed; /* no memory left */
} Chip;

static Row *new_row(Chip *chip, int channel) {
    static Row spare;
    Rows *rows = &chip->rows[channel];
    if (rows->size == rows->room) {
        size_t room = rows->room ? 2 * rows->room : 64;
        Row *more = realloc(rows->rows, room * sizeof(Row));
        if (!more) {
            chip->failed = 1;
            return &spare;
        }
        rows->rows = more, rows->room = room;
    }
    return &rows->rows[rows->size++];
}

static Track *track_of(State *s, int channel) {
    return channel < 2 ? &s->pulses[channel].track : channel == 2 ? &s->triangle.track : &s->noise.track;
}

static i64 length_of(int channel, i64 sequence) {
    return channel < 2 ? 8 : channel == 2 ? 32 : noise_sequences[sequence].length;
}

static void close_track(Chip *chip, int channel, i64 cycle, i64 last_tick) {
    Track *t = track_of(chip->s, channel);
    i64 ticks = t->tick <= last_tick ? (last_tick - t->tick) / t->period + 1 : 0;
    i64 count = t->moving ? ticks : 0;
    if (cycle > chip->starts[channel] || count) {
        Row *row = new_row(chip, channel);
        row->start = (double)chip->starts[channel], row->first_tick = (double)t->tick;
        row->period = (double)t->period, row->count = (double)count, row->position = (double)t->position;
        row->sequence = (double)t->sequence, row->amplitude = (double)t->amplitude;
        t->position = (t->position + count) % length_of(channel, t->sequence);
        chip->starts[channel] = cycle;
    }
    t->tick += ticks * t->period;
}

static void set_track(Chip *chip, int channel, i64 cycle, i64 period, i64 sequence, i64 amplitude, i64 moving) {
    Track *t = track_of(chip->s, channel);
    if (period == t->period && amplitude == t->amplitude && sequence == t->sequence && moving == t->moving)
        return;
    close_track(chip, channel, cycle, cycle);
    t->period = period, t->sequence = sequence, t->amplitude = amplitude, t->moving = moving;
}

/* Envelopes, sweeps, counters. */

static void write_envelope(Envelope *e, int value) {
    e->loop = value >> 5 & 1, e->constant = value >> 4 & 1, e->volume = value & 15;
}

static void clock_envelope(Envelope *e) {
    if (e->restart) {
        e->restart = 0, e->decay = 15, e->divider = e->volume;
    } else if (e->divider) {
        e->divider--;
    } else {
        e->divider = e->volume;
        if (e->decay)
            e->decay--;
        else if (e->loop)
            e->decay = 15;
    }
}

static i64 envelope_level(const Envelope *e) { return e->constant ? e->volume : e->decay; }

static i64 sweep_target(const Pulse *p, int ones_complement) {
    i64 change = p->period >> (p->sweep & 7);
    if (!(p->sweep & 8))
        return p->period + change;
    i64 target = p->period - change - ones_complement;
    return target > 0 ? target : 0;
}

static void clock_sweep(Pulse *p, int ones_complement) {
    i64 target = sweep_target(p, ones_complement);
    int due = p->divider == 0;
    if (due && p->sweep & 0x80 && p->sweep & 7 && p->period >= 8 && target <= 0x7FF)
        p->period = target;
    if (due || p->reload)
        p->divider = p->sweep >> 4 & 7, p->reload = 0;
    else
        p->divider--;
}

static void update_pulse(Chip *chip, int i, i64 cycle) {
    Pulse *p = &chip->s->pulses[i];
    int audible = p->length && p->period >= 8 && sweep_target(p, i == 0) <= 0x7FF;
    set_track(chip, i, cycle, 2 * (p->period + 1), p->duty, audible ? envelope_level(&p->envelope) : 0, 1);
}

static int triangle_runs_now(const Triangle *t) { return t->linear > 0 && t->length > 0; }

static void update_triangle(Chip *chip, i64 cycle) {
    Triangle *t = &chip->s->triangle;
    int runs = triangle_runs_now(t);
    set_track(chip, 2, cycle, t->period + 1, runs && t->period < 2, runs, runs);
}

static void update_noise(Chip *chip, i64 cycle) {
    Noise *n = &chip->s->noise;
    i64 volume = n->length ? envelope_level(&n->envelope) : 0;
    set_track(chip, 3, cycle, chip->console->noise[n->reg & 15], n->track.sequence, volume, 1);
}

static void switch_noise_mode(Chip *chip, i64 cycle) {
    Noise *n = &chip->s->noise;
    Track *t = &n->track;
    close_track(chip, 3, cycle, cycle);
    int state = noise_states[noise_sequences[t->sequence].offset + t->position];
    if (n->reg & 0x80)
        t->sequence = short_sequence[state], t->position = short_place[state];
    else
        t->sequence = 0, t->position = long_place[state];
}

/* DMC. */

enum { EMPTY = -2, UNKNOWN = -1, DMC_BASE = 0xC000 };

static void dmc_row(Chip *chip, i64 cycle) {
    Row *row = new_row(chip, 4);
    memset(row, 0, sizeof *row);
    row->start = row->first_tick = (double)cycle, row->period = 1, row->amplitude = (double)chip->s->dmc.level;
}

static void set_dmc(Chip *chip, i64 cycle, i64 level) {
    Rows *rows = &chip->rows[4];
    if (level == chip->s->dmc.level)
        return;
    chip->s->dmc.level = level;
    if (rows->size && rows->rows[rows->size - 1].start == (double)cycle)
        rows->size--;
    dmc_row(chip, cycle);
}

static void restart_dmc(Dmc *d) { d->address = d->start, d->left = d->size; }

static void fetch_dmc(Chip *chip) {
    Dmc *d = &chip->s->dmc;
    if (d->buffer != EMPTY || !d->left)
        return;
    i64 at = d->address - DMC_BASE;
    d->buffer = at >= 0 && at < chip->memory_size ? chip->memory[at] : UNKNOWN;
    d->address = d->address == 0xFFFF ? 0x8000 : d->address + 1;
    d->left--;
    if (!d->left && d->loop)
        restart_dmc(d);
}

static void run_dmc(Chip *chip, i64 cycle) {
    Dmc *d = &chip->s->dmc;
    i64 period = chip->console->dmc[d->rate];
    while (d->tick < cycle) {
        if (d->shift == EMPTY && d->buffer == EMPTY) {
            i64 ticks = (cycle - d->tick + period - 1) / period;
            d->bits = (((d->bits - 1 - ticks) % 8) + 8) % 8 + 1;
            d->tick += ticks * period;
            return;
        }
        if (d->shift >= 0) {
            if (d->shift & 1)
                set_dmc(chip, d->tick, d->level <= 125 ? d->level + 2 : d->level);
            else
                set_dmc(chip, d->tick, d->level >= 2 ? d->level - 2 : d->level);
            d->shift >>= 1;
        }
        if (!--d->bits) {
            d->bits = 8, d->shift = d->buffer, d->buffer = EMPTY;
            fetch_dmc(chip);
        }
        d->tick += period;
    }
}

static void write_dmc(Chip *chip, int reg, int value, i64 cycle) {
    Dmc *d = &chip->s->dmc;
    run_dmc(chip, cycle + 1);
    if (reg == 0x10) {
        d->rate = value & 15, d->loop = value >> 6 & 1;
    } else if (reg == 0x11) {
        set_dmc(chip, cycle, value & 0x7F);
    } else if (reg == 0x12) {
        d->start = DMC_BASE + 64 * value;
    } else if (reg == 0x13) {
        d->size = 16 * value + 1;
    } else if (!(value & 0x10)) {
        d->left = 0;
    } else if (!d->left) {
        restart_dmc(d);
        fetch_dmc(chip);
    }
}

/* Frame counter. */

static void clock_units(Chip *chip, i64 cycle, int half) {
    State *s = chip->s;
    for (int i = 0; i < 2; i++) {
        Pulse *p = &s->pulses[i];
        clock_envelope(&p->envelope);
        if (half) {
            if (p->length && !p->envelope.loop)
                p->length--;
            clock_sweep(p, i == 0);
        }
        if (half || !p->envelope.constant)
            update_pulse(chip, i, cycle);
    }
    Triangle *t = &s->triangle;
    Noise *n = &s->noise;
    if (t->reload)
        t->linear = t->linear_load;
    else if (t->linear)
        t->linear--;
    if (!t->control)
        t->reload = 0;
    clock_envelope(&n->envelope);
    if (half) {
        if (t->length && !t->control)
            t->length--;
        if (n->length && !n->envelope.loop)
            n->length--;
    }
    if (triangle_runs_now(t) != t->track.moving)
        update_triangle(chip, cycle);
    if (half || !n->envelope.constant)
        update_noise(chip, cycle);
}

static void run_frame_counter(Chip *chip, i64 cycle) {
    State *s = chip->s;
    for (;;) {
        i64 due = s->frame_start + chip->console->ticks[s->five][s->next_tick];
        if (s->reset_value >= 0 && s->reset_at <= due) {
            if (s->reset_at >= cycle)
                return;
            s->five = s->reset_value >> 7;
            s->frame_start = s->reset_at, s->next_tick = 0;
            if (s->five)
                clock_units(chip, s->reset_at, 1);
            s->reset_value = -1;
            continue;
        }
        if (due >= cycle)
            return;
        clock_units(chip, due, s->next_tick & 1); /* the second and the fourth tick are half frames */
        if (++s->next_tick == 4) {
            s->next_tick = 0;
            s->frame_start += chip->console->lengths[s->five];
        }
    }
}

/* Registers. */

static void write_register(Chip *chip, int address, int value, i64 cycle) {
    State *s = chip->s;
    int reg = address - 0x4000;
    if (reg < 0)
        return;
    if (reg < 8) {
        int i = reg >> 2;
        Pulse *p = &s->pulses[i];
        switch (reg & 3) {
        case 0:
            p->duty = value >> 6;
            write_envelope(&p->envelope, value);
            break;
        case 1:
            p->sweep = value, p->reload = 1;
            break;
        case 2:
            p->period = (p->period & 0x700) | value;
            break;
        default:
            p->period = (p->period & 0xFF) | (i64)(value & 7) << 8;
            p->envelope.restart = 1;
            if (s->enabled >> i & 1)
                p->length = LENGTHS[value >> 3];
            close_track(chip, i, cycle, cycle);
            p->track.position = 0;
        }
        update_pulse(chip, i, cycle);
    } else if (reg < 0xC) {
        Triangle *t = &s->triangle;
        if (reg == 8) {
            t->control = value >> 7, t->linear_load = value & 0x7F;
        } else if (reg == 0xA) {
            t->period = (t->period & 0x700) | value;
        } else if (reg == 0xB) {
            t->period = (t->period & 0xFF) | (i64)(value & 7) << 8;
            t->reload = 1;
            if (s->enabled & 4)
                t->length = LENGTHS[value >> 3];
        }
        update_triangle(chip, cycle);
    } else if (reg < 0x10) {
        Noise *n = &s->noise;
        if (reg == 0xC) {
            write_envelope(&n->envelope, value);
        } else if (reg == 0xE) {
            int switched = (n->reg ^ value) & 0x80;
            n->reg = value;
            if (switched)
                switch_noise_mode(chip, cycle);
        } else if (reg == 0xF) {
            n->envelope.restart = 1;
            if (s->enabled & 8)
                n->length = LENGTHS[value >> 3];
        }
        update_noise(chip, cycle);
    } else if (reg < 0x14) {
        write_dmc(chip, reg, value, cycle);
    } else if (reg == 0x15) {
        s->enabled = value & 15;
        for (int i = 0; i < 2; i++) {
            if (!(value >> i & 1))
                s->pulses[i].length = 0;
            update_pulse(chip, i, cycle);
        }
        if (!(value & 4))
            s->triangle.length = 0;
        if (!(value & 8))
            s->noise.length = 0;
        update_triangle(chip, cycle);
        update_noise(chip, cycle);
        write_dmc(chip, 0x15, value, cycle);
    } else if (reg == 0x17) {
        s->reset_at = cycle + 3 + ((cycle + s->odd) & 1), s->reset_value = value;
    }
}

static void split(Chip *chip, i64 cycle) {
    run_frame_counter(chip, cycle);
    run_dmc(chip, cycle);
    for (int channel = 0; channel < 4; channel++)
        close_track(chip, channel, cycle, cycle - 1);
}

typedef struct {
    const i64 *cycles;
    const uint16_t *addresses;
    const uint8_t *values;
    Py_ssize_t size;
    i64 zero; /* what cycles count from */
} Writes;

static void run_chip(Chip *chip, const Writes *writes, const i64 *splits, Py_ssize_t n_splits, i64 end) {
    State *s = chip->s;
    Py_ssize_t ahead = 0;
    dmc_row(chip, 0);
    for (Py_ssize_t at = 0; at < writes->size; at++) {
        i64 cycle = writes->cycles[at] - writes->zero;
        for (; ahead < n_splits && splits[ahead] <= cycle; ahead++)
            split(chip, splits[ahead]);
        run_frame_counter(chip, cycle + 1);
        write_register(chip, writes->addresses[at], writes->values[at], cycle);
    }
    for (; ahead < n_splits; ahead++)
        split(chip, splits[ahead]);
    split(chip, end);
    s->odd ^= end & 1;
    s->frame_start -= end;
    s->reset_at = s->reset_value >= 0 ? s->reset_at - end : 0;
    for (int channel = 0; channel < 4; channel++)
        track_of(s, channel)->tick -= end;
    s->dmc.tick -= end;
}

static int between(i64 value, i64 low, i64 high) { return low <= value && value <= high; }

static int envelope_is_sound(const Envelope *e) {
    return between(e->volume, 0, 15) && between(e->decay, 0, 15) && between(e->divider, 0, 15);
}

static int track_is_sound(const Track *t, i64 sequences, i64 amplitude) {
    return between(t->tick, 0, 8191) && between(t->period, 1, 8191) && between(t->sequence, 0, sequences - 1) &&
           between(t->amplitude, 0, amplitude) && between(t->moving, 0, 1) && t->position >= 0;
}

/* Whether running on from a state stays within every table: what `chip.is_state` asks, as far as it matters here. */
static int state_is_sound(const State *s) {
    for (int i = 0; i < 2; i++) {
        const Pulse *p = &s->pulses[i];
        if (!between(p->duty, 0, 3) || !between(p->period, 0, 0x7FF) || !between(p->sweep, 0, 255) ||
            !between(p->length, 0, 254) || !between(p->divider, 0, 7) || !envelope_is_sound(&p->envelope) ||
            !track_is_sound(&p->track, 4, 15) || p->track.position > 7)
            return 0;
    }
    const Dmc *d = &s->dmc;
    const Noise *n = &s->noise;
    return between(s->five, 0, 1) && between(s->frame_start, -50000, 50000) && between(s->next_tick, 0, 3) &&
           between(s->reset_value, -1, 255) && between(s->reset_at, 0, 4) && between(s->triangle.period, 0, 0x7FF) &&
           track_is_sound(&s->triangle.track, 2, 1) && s->triangle.track.position < 32 && between(n->reg, 0, 255) &&
           between(n->length, 0, 254) && envelope_is_sound(&n->envelope) &&
           track_is_sound(&n->track, ORBITS + 1, 15) &&
           n->track.position < noise_sequences[n->track.sequence].length && between(d->rate, 0, 15) &&
           between(d->level, 0, 127) && between(d->tick, 0, 8191) && between(d->bits, 1, 8) &&
           between(d->shift, EMPTY, 255) && between(d->buffer, EMPTY, 255) && between(d->start, DMC_BASE, 0xFFFF) &&
           between(d->size, 1, 4081) && between(d->address, 0, 0xFFFF) && between(d->left, 0, 4081);
}

/* Level changes, mixing, band-limited steps. */

typedef struct {
    double *at;       /* an end mark follows the last one */
    uint16_t *levels; /* times the channel's weight: what it adds to its group's number, see `mixer` */
    size_t size, room;
    int weight, level; /* weighted, after the last change */
    double last;
    int failed;
} Events;

/* Make room for more events and an end mark. */
static int reserve(Events *found, double more) {
    double wanted = (double)found->size + more + 1;
    if (wanted <= (double)found->room)
        return 1;
    if (wanted < (double)(SIZE_MAX / 32)) {
        size_t room = (size_t)wanted + found->room + 256;
        double *at = realloc(found->at, room * sizeof *at);
        if (at)
            found->at = at;
        uint16_t *levels = realloc(found->levels, room * sizeof *levels);
        if (levels)
            found->levels = levels;
        if (at && levels) {
            found->room = room;
            return 1;
        }
    }
    found->failed = 1;
    return 0;
}

static void emit(Events *found, double at, int level) {
    level *= found->weight;
    if (level == found->level)
        return;
    if (at < found->last)
        at = found->last;
    found->last = at;
    found->level = level;
    found->at[found->size] = at;
    found->levels[found->size++] = (uint16_t)level;
}

/* Write the events of n changes in a row; none of them comes before the earliest moment. */
CLONES static void write_changes(
    double *restrict at, uint16_t *restrict levels, const uint16_t *restrict changes, const uint8_t *restrict values, int n,
    double passed, double period, double base, double earliest, int amplitude) {
    for (int i = 0; i < n; i++) {
        double time = (changes[i] + passed) * period + base;
        at[i] = time < earliest ? earliest : time;
    }
    for (int i = 0; i < n; i++)
        levels[i] = (uint16_t)(values[i] * amplitude);
}

static int is_time(double value) { return value > -9e15 && value < 9e15; }

/* Add the level changes of segments; 0 if a segment is none. */
static int find_events(int channel, const Row *rows, size_t n_rows, Events *found) {
    const Tables *tables = channel < 2 ? &PULSE_TABLES : channel == 2 ? &TRIANGLE_TABLES : &NOISE_TABLES;
    for (const Row *row = rows; row < rows + n_rows; row++) {
        if (!(row->amplitude >= 0 && row->amplitude <= 127 && row->count >= 0 && row->count < 9e15 &&
              row->sequence >= 0 && row->sequence < tables->n_sequences && row->position >= 0 &&
              is_time(row->start) && is_time(row->first_tick) && row->period > 0 && is_time(row->period)))
            return 0;
        int amplitude = (int)row->amplitude;
        if (!reserve(found, 1))
            return 0;
        if (channel == 4) {
            emit(found, row->start, amplitude);
            continue;
        }
        const Sequence *sequence = &tables->sequences[(int)row->sequence];
        if (row->position >= sequence->length || amplitude > 15)
            return 0;
        int position = (int)row->position;
        if (channel == 2)
            amplitude = 1; /* where it stands still it holds its level */
        emit(found, row->start, tables->values[sequence->offset + position] * amplitude);
        if (!amplitude || !sequence->n_changes)
            continue;
        /* Changes are numbered on for ever, round after round: those after the first position, up to the last one. */
        const uint16_t *before = tables->changes_before + sequence->offset;
        const uint16_t *changes = tables->changes + sequence->changes_offset;
        const uint8_t *values = tables->changed_values + sequence->changes_offset;
        i64 last = position + (i64)row->count, rounds = last / sequence->length;
        i64 left = rounds * sequence->n_changes + before[last % sequence->length] - before[position];
        if (!left)
            continue;
        if (!reserve(found, (double)left))
            return 0;
        double base = row->first_tick - (row->position + 1) * row->period, passed = 0, earliest = found->last;
        for (int from = before[position]; left; from = 0, passed += sequence->length) {
            int n = left < sequence->n_changes - from ? (int)left : sequence->n_changes - from;
            write_changes(
                found->at + found->size, found->levels + found->size, changes + from, values + from, n, passed, row->period,
                base, earliest, amplitude * found->weight);
            found->size += (size_t)n;
            left -= n;
        }
        found->last = found->at[found->size - 1], found->level = found->levels[found->size - 1];
    }
    if (!reserve(found, 0))
        return 0;
    found->at[found->size] = DBL_MAX; /* the end mark */
    return 1;
}

enum { TAPS = 32, PHASES = 128, FRACTION_BITS = 12, PLACE_BITS = 19, BATCH = 256 };

/* Steps are gathered first, then placed and added a batch at a time: no loop waits for another. */
typedef struct {
    const int32_t *tables[2];
    const double *taps;
    double *buffer;
    i64 buffer_size;
    double scale, base, origin;
    int n_steps;
    double at[BATCH];
    int32_t heights[BATCH];
    /* of each step: its first sample, its row of taps, and the weights of that row and of the next */
    int32_t first[BATCH], row[BATCH];
    double weight[BATCH], next_weight[BATCH];
} Mixer;

/* Look up where each step of a batch lies; 0 if one of them lies outside the buffer. */
CLONES static int place_steps(Mixer *m) {
    const double unit = 1.0 / (1 << 20), fine = 1 << PLACE_BITS, fractions = 1 << FRACTION_BITS;
    const double scale = m->scale, base = m->base, origin = m->origin * fine;
    const double past = (double)(m->buffer_size - TAPS + 1) * fine;
    const double *restrict at = m->at;
    int n = m->n_steps;
    double places[BATCH], outside = 0;
    for (int i = 0; i < n; i++) {
        double place = floor(((at[i] + base) * scale + 0.5) * fine) - origin;
        place = place < 0 ? 0 : place;
        outside += place < past ? 0.0 : 1.0;
        places[i] = place;
    }
    if (outside > 0)
        return 0;
    for (int i = 0; i < n; i++) {
        /* All whole numbers from here on, exact in float64. */
        double first = (double)(int32_t)(places[i] * (1 / fine));
        double within = places[i] - first * fine;
        double phase = (double)(int32_t)(within * (1 / fractions));
        double height = (double)m->heights[i], fraction = within - phase * fractions;
        /* Rounded down: what is added makes it a rounding to the nearest, and positive. */
        double next = (double)(int32_t)((height * fraction + fractions / 2) * (1 / fractions) + (1 << 22)) - (1 << 22);
        m->first[i] = (int32_t)first, m->row[i] = (int32_t)phase * TAPS;
        m->weight[i] = (height - next) * unit, m->next_weight[i] = next * unit;
    }
    return 1;
}

CLONES static void add_batch(const Mixer *m) {
    for (int step = 0; step < m->n_steps; step++) {
        double *restrict out = m->buffer + m->first[step];
        const double *restrict taps = m->taps + m->row[step];
        const double weight = m->weight[step], next_weight = m->next_weight[step];
        for (int i = 0; i < TAPS; i++)
            out[i] += taps[i] * weight + taps[TAPS + i] * next_weight;
    }
}

static int flush(Mixer *m) {
    if (!place_steps(m))
        return 0;
    add_batch(m);
    m->n_steps = 0;
    return 1;
}

/* Whether two moments are the same: by their bits, which is quicker than asking whether neither is NaN. */
static int same(const double *a, const double *b) {
    uint64_t bits[2];
    memcpy(bits, a, 8), memcpy(bits + 1, b, 8);
    return bits[0] == bits[1];
}

static int mix(Mixer *m, const Events *parts, int n_parts, const int *before, const int32_t *table) {
    size_t next[3];
    int levels[3], number = 0;
    for (int i = 0; i < n_parts; i++) {
        next[i] = 0;
        levels[i] = before[i];
        number += before[i];
    }
    int32_t output = table[number];
    for (;;) {
        /* Which channel comes first, and when another one comes. */
        int first = 0;
        double earliest = parts[0].at[next[0]], limit = DBL_MAX;
        for (int i = 1; i < n_parts; i++) {
            double at = parts[i].at[next[i]];
            limit = at < earliest ? earliest : at < limit ? at : limit;
            first = at < earliest ? i : first;
            earliest = at < earliest ? at : earliest;
        }
        if (earliest == DBL_MAX)
            return flush(m);
        if (earliest < limit) {
            const double *at = parts[first].at + next[first], *begin = at;
            const uint16_t *level = parts[first].levels + next[first];
            const int32_t *outputs = table + number - levels[first];
            int n = m->n_steps;
            for (; *at < limit; at++, level++) {
                if (n == BATCH) {
                    m->n_steps = n;
                    if (!flush(m))
                        return 0;
                    n = 0;
                }
                int32_t now = outputs[*level];
                int stays = !same(at, at + 1); /* of those in the same moment the last one counts */
                m->at[n] = *at, m->heights[n] = now - output;
                n += stays & (now != output);
                output = stays ? now : output;
            }
            m->n_steps = n;
            next[first] += (size_t)(at - begin);
            number += level[-1] - levels[first];
            levels[first] = level[-1];
            continue;
        }
        for (int i = 0; i < n_parts; i++)
            for (; parts[i].at[next[i]] == earliest; next[i]++) {
                number += parts[i].levels[next[i]] - levels[i];
                levels[i] = parts[i].levels[next[i]];
            }
        if (m->n_steps == BATCH && !flush(m))
            return 0;
        int32_t height = table[number] - output;
        m->at[m->n_steps] = earliest, m->heights[m->n_steps] = height;
        m->n_steps += height != 0;
        output += height;
    }
}

/* Add the sound of segments; channels without rows keep their level. Returns NULL or what is wrong. */
static const char *add_all(Mixer *m, Events *found, const Row *const *rows, const size_t *n_rows, i64 *levels) {
    static const int highest[5] = {15, 15, 30, 15, 127};
    static const int weights[5] = {1, 1, 1, 32, 512};
    int before[5];
    const char *wrong = NULL;
    for (int i = 0; i < 5; i++) {
        if (!between(levels[i], 0, highest[i]))
            return "a level is out of range";
        found[i].weight = weights[i], found[i].size = 0;
        before[i] = found[i].level = (int)levels[i] * weights[i];
        found[i].last = -DBL_MAX;
    }
    for (int i = 0; i < 5 && !wrong; i++)
        if (!find_events(i, rows[i], n_rows[i], &found[i]))
            wrong = found[i].failed ? "out of memory" : "a segment is out of range";
    if (!wrong && !(mix(m, found, 2, before, m->tables[0]) && mix(m, found + 2, 3, before + 2, m->tables[1])))
        wrong = "a step lies outside the buffer";
    for (int i = 0; i < 5 && !wrong; i++)
        levels[i] = found[i].level / weights[i];
    return wrong;
}

static void free_events(Events *found) {
    for (int i = 0; i < 5; i++)
        free(found[i].at), free(found[i].levels);
}

/* Run a chip over writes and add its sound, a part after the other: what is known of a part stays in the cache. */
static const char *play(Chip *chip, Mixer *m, const Writes *writes, i64 end, int mask, i64 *levels) {
    enum { PART = 1 << 18 }; /* cycles, about 0.15 s */
    Events found[5] = {{0}};
    const char *wrong = NULL;
    const double base = m->base;
    Writes part = *writes;
    const i64 *const last = writes->cycles + writes->size;
    for (i64 from = 0, to; !wrong; from = to) {
        const Row *rows[5];
        size_t n_rows[5];
        to = end - from > PART ? from + PART : end;
        part.zero = from;
        part.size = 0;
        while (part.cycles + part.size < last && (to == end || part.cycles[part.size] < to))
            part.size++;
        run_chip(chip, &part, NULL, 0, to - from);
        part.cycles += part.size, part.addresses += part.size, part.values += part.size;
        if (chip->failed) {
            wrong = "out of memory";
            break;
        }
        for (int i = 0; i < 5; i++) {
            rows[i] = chip->rows[i].rows, n_rows[i] = mask >> i & 1 ? chip->rows[i].size : 0;
            chip->rows[i].size = 0;
        }
        memset(chip->starts, 0, sizeof chip->starts);
        m->base = base + (double)from;
        wrong = add_all(m, found, rows, n_rows, levels);
        if (to == end)
            break;
    }
    free_events(found);
    return wrong;
}

/* Filters. */

enum { BLOCK = 32, LANES = 8 };

typedef struct {
    double now, before, pole; /* `filters.coefficients` */
    double powers[BLOCK];
    double late, within, carry; /* `filters.at_rest` */
    int used;
} Stage;

static double carried(double value) { return value > -0x1p-100 && value < 0x1p-100 ? 0.0 : value; }

static void run_samples(Stage *s, double *samples, Py_ssize_t size) {
    double late = s->late, within = s->within;
    int used = s->used;
    for (Py_ssize_t at = 0; at < size; at++) {
        double sample = samples[at], mixed = sample * s->now;
        mixed += late * s->before;
        late = sample;
        if (used)
            mixed += s->pole * within;
        within = mixed;
        mixed += s->powers[used] * s->carry;
        samples[at] = mixed;
        if (++used == BLOCK) {
            used = 0;
            s->carry = carried(mixed);
        }
    }
    s->late = late, s->within = within, s->used = used;
}

/* Blocks know nothing of each other but the carry: LANES of them go side by side, so that none waits for its last sum. */
CLONES static void run_blocks(Stage *s, double *restrict samples) {
    const double now = s->now, before = s->before, pole = s->pole, late = s->late;
    double mixed[LANES * BLOCK];
    s->late = samples[LANES * BLOCK - 1];
    mixed[0] = samples[0] * now + late * before;
    for (int i = 1; i < LANES * BLOCK; i++)
        mixed[i] = samples[i] * now + samples[i - 1] * before;
    for (int i = 1; i < BLOCK; i++)
        for (int at = i; at < LANES * BLOCK; at += BLOCK)
            mixed[at] += pole * mixed[at - 1];
    for (int at = 0; at < LANES * BLOCK; at += BLOCK) {
        const double carry = s->carry;
        for (int i = 0; i < BLOCK; i++)
            samples[at + i] = mixed[at + i] + s->powers[i] * carry;
        s->carry = carried(samples[at + BLOCK - 1]);
    }
}

static void run_stage(double *samples, Py_ssize_t size, const double *stage, double *kept) {
    Stage s = {stage[0], stage[1], stage[2], {stage[2]}, kept[0], kept[1], kept[2], (int)kept[3]};
    for (int i = 1; i < BLOCK; i++)
        s.powers[i] = s.powers[i - 1] * s.pole;
    Py_ssize_t at = s.used ? BLOCK - s.used : 0;
    at = at < size ? at : size;
    run_samples(&s, samples, at);
    for (; size - at >= LANES * BLOCK; at += LANES * BLOCK)
        run_blocks(&s, samples + at);
    run_samples(&s, samples + at, size - at);
    kept[0] = s.late, kept[1] = s.used ? s.within : 0.0, kept[2] = s.carry, kept[3] = s.used;
}

CLONES static void round_samples(const double *restrict from, double factor, int16_t *restrict to, Py_ssize_t size) {
    /* Adding and taking away 1.5 * 2**52 rounds to the nearest whole number, halves to the even one. */
    const double shift = 6755399441055744.0;
    for (Py_ssize_t i = 0; i < size; i++) {
        double value = from[i] * factor;
        value = value > 32767.0 ? 32767.0 : value;
        value = value < -32768.0 ? -32768.0 : value;
        to[i] = (int16_t)(int32_t)(value + shift - shift);
    }
}

/* The module. */

static int has_size(const Py_buffer *buffer, Py_ssize_t bytes, const char *name) {
    if (buffer->len == bytes)
        return 1;
    PyErr_Format(PyExc_ValueError, "%s must have %zd bytes, not %zd", name, bytes, buffer->len);
    return 0;
}

/* Whether cycles or splits rise from at least 0 to at most the end. */
static int rises(const i64 *values, Py_ssize_t size, i64 end) {
    i64 last = 0;
    for (Py_ssize_t i = 0; i < size; last = values[i], i++)
        if (values[i] < last || values[i] > end)
            return 0;
    return 1;
}

static int check_run(
    const Py_buffer *state, const Py_buffer *cycles, const Py_buffer *addresses, const Py_buffer *values, int region, i64 end) {
    Py_ssize_t size = values->len;
    if (!has_size(state, STATE_SIZE * 8, "state") || !has_size(cycles, size * 8, "cycles") ||
        !has_size(addresses, size * 2, "addresses"))
        return 0;
    if (region < 0 || region > 2 || end < 0 || end > (i64)1 << 52 || !rises(cycles->buf, size, end) ||
        !state_is_sound(state->buf)) {
        PyErr_SetString(PyExc_ValueError, "region, cycles or state out of range");
        return 0;
    }
    return 1;
}

static void start_chip(Chip *chip, State *state, int region, const Py_buffer *memory) {
    memset(chip, 0, sizeof *chip);
    chip->s = state, chip->console = CONSOLES[region];
    chip->memory = memory->buf, chip->memory_size = memory->len;
}

static void free_rows(Chip *chip) {
    for (int i = 0; i < 5; i++)
        free(chip->rows[i].rows);
}

static PyObject *fast_advance(PyObject *self, PyObject *args) {
    Py_buffer state, cycles, addresses, values, splits, memory;
    long long end;
    int region;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(
            args, "w*y*y*y*y*Liy*", &state, &cycles, &addresses, &values, &splits, &end, &region, &memory))
        return NULL;
    if (!check_run(&state, &cycles, &addresses, &values, region, end))
        goto done;
    if (splits.len % 8 || !rises(splits.buf, splits.len / 8, end)) {
        PyErr_SetString(PyExc_ValueError, "splits must rise from 0 to the end");
        goto done;
    }
    Chip chip;
    Writes writes = {cycles.buf, addresses.buf, values.buf, values.len, 0};
    start_chip(&chip, state.buf, region, &memory);
    Py_BEGIN_ALLOW_THREADS
    run_chip(&chip, &writes, splits.buf, splits.len / 8, end);
    Py_END_ALLOW_THREADS
    if (chip.failed) {
        PyErr_NoMemory();
    } else {
        result = PyTuple_New(5);
        for (int i = 0; result && i < 5; i++) {
            PyObject *part = PyBytes_FromStringAndSize((const char *)chip.rows[i].rows, (Py_ssize_t)(chip.rows[i].size * sizeof(Row)));
            if (!part || PyTuple_SetItem(result, i, part) < 0)
                Py_CLEAR(result);
        }
    }
    free_rows(&chip);
done:
    PyBuffer_Release(&state), PyBuffer_Release(&cycles), PyBuffer_Release(&addresses), PyBuffer_Release(&values);
    PyBuffer_Release(&splits), PyBuffer_Release(&memory);
    return result;
}

typedef struct { Py_buffer pulse, tnd, taps, buffer, levels; } Shared;

static int make_mixer(Mixer *m, const Shared *shared, double scale, long long base, long long origin) {
    if (!has_size(&shared->pulse, 31 * 4, "the pulses' table") || !has_size(&shared->tnd, 65536 * 4, "the other table") ||
        !has_size(&shared->taps, (PHASES + 1) * TAPS * 8, "taps") || !has_size(&shared->levels, 5 * 8, "levels"))
        return 0;
    if (origin > (i64)1 << 42 || origin < -((i64)1 << 42) || shared->buffer.len / 8 > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "origin or size of the buffer out of range");
        return 0;
    }
    m->tables[0] = shared->pulse.buf, m->tables[1] = shared->tnd.buf;
    m->taps = shared->taps.buf;
    m->buffer = shared->buffer.buf, m->buffer_size = shared->buffer.len / 8;
    m->scale = scale, m->base = (double)base, m->origin = (double)origin;
    m->n_steps = 0;
    return 1;
}

static void release_shared(Shared *shared) {
    PyBuffer_Release(&shared->pulse), PyBuffer_Release(&shared->tnd), PyBuffer_Release(&shared->taps);
    PyBuffer_Release(&shared->buffer), PyBuffer_Release(&shared->levels);
}

static PyObject *finish(const char *wrong) {
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, wrong);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *fast_add_rows(PyObject *self, PyObject *args) {
    PyObject *parts[5], *result = NULL;
    Py_buffer views[5];
    Shared shared;
    double scale;
    long long base, origin;
    const Row *rows[5] = {NULL, NULL, NULL, NULL, NULL};
    size_t n_rows[5] = {0, 0, 0, 0, 0};
    int held = 0;
    Mixer mixer;
    (void)self;
    if (!PyArg_ParseTuple(
            args, "OOOOOy*y*y*w*w*dLL", &parts[0], &parts[1], &parts[2], &parts[3], &parts[4], &shared.pulse, &shared.tnd,
            &shared.taps, &shared.buffer, &shared.levels, &scale, &base, &origin))
        return NULL;
    for (; held < 5; held++) {
        if (parts[held] == Py_None) {
            memset(&views[held], 0, sizeof views[held]);
        } else {
            if (PyObject_GetBuffer(parts[held], &views[held], PyBUF_SIMPLE) < 0)
                goto done;
            rows[held] = views[held].buf, n_rows[held] = (size_t)views[held].len / sizeof(Row);
        }
    }
    if (make_mixer(&mixer, &shared, scale, base, origin)) {
        const char *wrong;
        Events found[5] = {{0}};
        Py_BEGIN_ALLOW_THREADS
        wrong = add_all(&mixer, found, rows, n_rows, shared.levels.buf);
        free_events(found);
        Py_END_ALLOW_THREADS
        result = finish(wrong);
    }
done:
    while (held--)
        if (parts[held] != Py_None)
            PyBuffer_Release(&views[held]);
    release_shared(&shared);
    return result;
}

static PyObject *fast_play(PyObject *self, PyObject *args) {
    Py_buffer state, cycles, addresses, values, memory;
    Shared shared;
    long long end, base, origin;
    int region, mask;
    double scale;
    Mixer mixer;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(
            args, "w*y*y*y*Liy*iy*y*y*w*w*dLL", &state, &cycles, &addresses, &values, &end, &region, &memory, &mask,
            &shared.pulse, &shared.tnd, &shared.taps, &shared.buffer, &shared.levels, &scale, &base, &origin))
        return NULL;
    if (check_run(&state, &cycles, &addresses, &values, region, end) && make_mixer(&mixer, &shared, scale, base, origin)) {
        Chip chip;
        Writes writes = {cycles.buf, addresses.buf, values.buf, values.len, 0};
        const char *wrong;
        start_chip(&chip, state.buf, region, &memory);
        BEGIN_IF_LONG(end > LONG_CYCLES)
        wrong = play(&chip, &mixer, &writes, end, mask, shared.levels.buf);
        END_IF_LONG
        free_rows(&chip);
        result = finish(wrong);
    }
    PyBuffer_Release(&state), PyBuffer_Release(&cycles), PyBuffer_Release(&addresses), PyBuffer_Release(&values);
    PyBuffer_Release(&memory);
    release_shared(&shared);
    return result;
}

static PyObject *fast_run_filters(PyObject *self, PyObject *args) {
    Py_buffer samples, stages, state;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "w*y*w*", &samples, &stages, &state))
        return NULL;
    Py_ssize_t n_stages = stages.len / 24, size = samples.len / 8;
    int fits = has_size(&stages, n_stages * 24, "stages") && has_size(&state, n_stages * 32, "state");
    for (Py_ssize_t i = 0; fits && i < n_stages; i++) {
        double used = ((double *)state.buf)[4 * i + 3];
        if (!(used >= 0 && used < BLOCK)) {
            PyErr_SetString(PyExc_ValueError, "a filter's state is out of range");
            fits = 0;
        }
    }
    if (fits) {
        BEGIN_IF_LONG(size > LONG_SAMPLES)
        for (Py_ssize_t i = 0; i < n_stages; i++)
            run_stage(samples.buf, size, (double *)stages.buf + 3 * i, (double *)state.buf + 4 * i);
        END_IF_LONG
        result = finish(NULL);
    }
    PyBuffer_Release(&samples), PyBuffer_Release(&stages), PyBuffer_Release(&state);
    return result;
}

static PyObject *fast_to_16_bits(PyObject *self, PyObject *args) {
    Py_buffer samples, out;
    double factor;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*dw*", &samples, &factor, &out))
        return NULL;
    Py_ssize_t size = samples.len / 8;
    if (has_size(&out, size * 2, "out")) {
        BEGIN_IF_LONG(size > LONG_SAMPLES)
        round_samples(samples.buf, factor, out.buf, size);
        END_IF_LONG
        result = finish(NULL);
    }
    PyBuffer_Release(&samples), PyBuffer_Release(&out);
    return result;
}

static PyMethodDef methods[] = {
    {"advance", fast_advance, METH_VARARGS, "Run a chip over writes and return its segments; see chip.advance."},
    {"add_rows", fast_add_rows, METH_VARARGS, "Add the sound of segments to a buffer; see synthesis.add_segments."},
    {"play", fast_play, METH_VARARGS, "Run a chip over writes and add its sound to a buffer; see synthesis.play."},
    {"run_filters", fast_run_filters, METH_VARARGS, "Filter samples in place; see filters.run."},
    {"to_16_bits", fast_to_16_bits, METH_VARARGS, "Scale, round and clip samples; see stream.to_16_bits."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_fast", "The renderer's hot path, compiled.", -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__fast(void) {
    make_tables();
    PyObject *module = PyModule_Create(&definition);
    if (module && (PyModule_AddIntConstant(module, "VERSION", VERSION) < 0 ||
                   PyModule_AddIntConstant(module, "STATE_SIZE", STATE_SIZE) < 0))
        Py_CLEAR(module);
    return module;
}
