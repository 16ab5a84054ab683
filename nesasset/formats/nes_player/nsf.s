; The player of an NSF file: bank 0, at $8000. Bank n of the stream is seen at $9000.
;
;   ca65 nsf.s -o nsf.o && ld65 -t none -S 0x8000 nsf.o -o nsf.bin
;
; The writer puts tables behind the code, 256 bytes each: where each song begins, and which banks it wants at $C000.

SONG_LOW  = $8200
SONG_HIGH = $8300
SONG_BANK = $8400
SAMPLES   = $8500       ; four tables: $C000, $D000, $E000, $F000

    jmp init            ; $8000: the header's init address
    jmp play            ; $8003: its play address

select:                 ; A = bank
    sta $5FF9
    rts

    .include "player.s"
