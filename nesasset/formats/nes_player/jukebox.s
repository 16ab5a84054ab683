; The jukebox of a .nes ROM: $F000-$FFFF, for the mappers 0 (NROM), 2 (UxROM) and 31.
;
;   ca65 jukebox.s -o jukebox.o && ld65 -t none -S 0xF000 jukebox.o -o jukebox.bin
;
; The screen lists ten songs a page; the pad's up and down choose one, left and right turn the page, A or Start plays,
; B or Select stops. All sound, all reading of the pad and all small changes of the picture happen in the interrupt of
; the vertical blank; the main program only draws pages, with the picture off, while the music goes on.
;
; The writer fills in the font and the tables between the code and the vectors.

FONT      = $F800       ; 96 tiles of 8 bytes
SONG_LOW  = $FB00       ; 256 bytes each: where each song begins
SONG_HIGH = $FC00
SONG_BANK = $FD00
PAGE_LOW  = $FE00       ; 32 bytes each: where each page's text is
PAGE_HIGH = $FE20
PAGE_BANK = $FE40
LAST_SONG = $FE60       ; number of the last song, from 0
LAST_PAGE = $FE61
LAST_ROW  = $FE62       ; row of the last song on the last page
HEADER    = $FE80       ; two lines of 28 tiles
BANKS     = $FF00       ; the numbers 0 to 15

SHADOW    = $0300       ; what was written to $4000 and up, for the level meters

PPUCTRL   = $2000
PPUMASK   = $2001
PPUSTATUS = $2002
PPUSCROLL = $2005
PPUADDR   = $2006
PPUDATA   = $2007
PAD       = $4016

NONE      = $FF
ROWS      = 10          ; songs a page
WIDTH     = 26          ; tiles of a song's line
NOTE      = 64          ; tiles of the font beside ASCII - 32
RULE      = 65
BAR       = 66          ; a piece of a meter with 0 to 4 marks lit

; Zero page $00-$04 and $80-$8F is the stream player's.
wanted    = $10         ; song to begin in the next frame, or NONE
playing   = $11         ; song that sounds, or NONE
play_page = $12         ; where it stands in the list
play_row  = $13
cursor    = $14         ; the chosen song,
page      = $15         ; its page
row       = $16         ; and its row there
shown     = $17         ; page on the screen
drawing   = $18         ; not 0: the main program has the PPU
busy      = $19         ; not 0: within the interrupt
main_bank = $1A         ; bank that the main program reads
pad       = $1B         ; buttons down: A B Select Start Up Down Left Right from bit 7 on
before    = $1C         ; the same a frame earlier
pressed   = $1D         ; buttons to act on
repeat    = $1E         ; frames until a held direction acts again
text      = $20         ; main program: what is drawn
place     = $22         ; main program: where
count     = $24         ; main program: rows left
held      = $25         ; directions down a frame earlier
rest      = $26         ; what is left of a level
part      = $27         ; and the part of it in one tile
level     = $28         ; four meters, 0 to 15
colours   = $30         ; palette of the twelve lines from tile row 4 on
attribute = $40         ; six rows of the attribute table
arrows    = $50         ; the two columns of marks, ten tiles each
notes     = $60
bars      = $70         ; four meters of four tiles

.repeat 64, i
    .charmap 32 + i, i
.endrep

    jmp reset           ; $F000, where the writer's vectors lead
    jmp nmi             ; $F003
    rti                 ; $F006: no interrupt request is expected

; ---------------------------------------------------------------- reset
reset:
    sei
    cld
    ldx #$40
    stx $4017           ; no frame interrupts
    ldx #$FF
    txs
    inx
    stx PPUCTRL
    stx PPUMASK
    stx $4010           ; no sample interrupts
    stx $4015
    bit PPUSTATUS
:   bit PPUSTATUS
    bpl :-
    txa
:   sta $0000,x
    sta $0200,x
    sta $0300,x
    inx
    bne :-
:   bit PPUSTATUS       ; after the second vertical blank the PPU listens
    bpl :-

    ; Palettes: the lower half of each letter has colour 3, see below.
    lda #$3F
    ldx #$00
    jsr goto
:   lda palettes,x
    sta PPUDATA
    inx
    cpx #16
    bne :-

    ; Font: each of our tiles has 8 bytes, one bit a pixel. Plane 0 is the tile itself, plane 1 its lower half, so
    ; that letters are light above and dark below. Where the cartridge has the tiles in ROM, the writes do nothing.
    lda #<FONT
    sta text
    lda #>FONT
    sta text+1
    lda #0
    tax
    jsr goto
    lda #96
    sta count
@tile:
    ldy #0
:   lda (text),y
    sta PPUDATA
    iny
    cpy #8
    bne :-
    lda #0
    ldy #4
:   sta PPUDATA
    dey
    bne :-
    ldy #4
:   lda (text),y
    sta PPUDATA
    iny
    cpy #8
    bne :-
    lda text
    clc
    adc #8
    sta text
    bcc :+
    inc text+1
:   dec count
    bne @tile

    ; An empty screen, and the lines that never change.
    lda #$20
    ldx #$00
    jsr goto
    txa
    ldy #8
:   sta PPUDATA
    inx
    bne :-
    dey
    bne :-
    lda #$20            ; row 2: what the pack is called
    ldx #$42
    jsr goto
    ldx #0
:   lda HEADER,x
    sta PPUDATA
    inx
    cpx #28
    bne :-
    lda #$20            ; row 4: who made it
    ldx #$82
    jsr goto
    ldx #0
:   lda HEADER+28,x
    sta PPUDATA
    inx
    cpx #28
    bne :-
    lda #$20            ; row 5: a rule
    ldx #$A2
    jsr goto
    lda #RULE
    ldx #28
:   sta PPUDATA
    dex
    bne :-
    lda #$23            ; rows 26 and 27: labels of the meters, and what the buttons do
    ldx #$40
    jsr goto
    ldx #0
:   lda footer,x
    sta PPUDATA
    inx
    cpx #56
    bne :-
    lda #$23            ; attributes of rows 0 to 3
    ldx #$C0
    jsr goto
    lda #$F0
    ldx #8
:   sta PPUDATA
    dex
    bne :-

    lda #NONE
    sta playing
    sta shown
    jsr look            ; wanted = cursor = 0: the first song begins at once
    jsr draw
    lda #$80            ; interrupts on
    sta PPUCTRL

main:
    lda page
    cmp shown
    beq main
    jsr draw
    jmp main

; ---------------------------------------------------------------- draw: the page of the cursor, with the picture off
draw:
    lda #1
    sta drawing
    lda #0
    sta PPUMASK
    ldx page
    stx shown
    lda PAGE_LOW,x
    sta text
    lda PAGE_HIGH,x
    sta text+1
    lda PAGE_BANK,x
    sta main_bank
    jsr select          ; an interrupt between these two ends with the same bank
    lda #$20            ; row 6, column 4
    sta place+1
    lda #$C4
    sta place
    lda #ROWS
    sta count
@row:
    lda place+1
    ldx place
    jsr goto
    ldy #0
:   lda (text),y
    sta PPUDATA
    iny
    cpy #WIDTH
    bne :-
    tya
    clc
    adc text
    sta text
    bcc :+
    inc text+1
:   lda place
    clc
    adc #64             ; two rows down
    sta place
    bcc :+
    inc place+1
:   dec count
    bne @row
    lda #$23            ; row 27, column 25: page and pages
    ldx #$79
    jsr goto
    ldy #0
:   lda (text),y
    sta PPUDATA
    iny
    cpy #5
    bne :-
    lda #0
    sta drawing         ; the next interrupt switches the picture on
    rts

goto:                   ; A = high byte of a PPU address, X = low byte
    bit PPUSTATUS
    sta PPUADDR
    stx PPUADDR
    rts

; ---------------------------------------------------------------- the vertical blank
nmi:
    pha
    lda busy            ; a frame that took too long: let it end
    beq :+
    pla
    rti
:   inc busy
    txa
    pha
    tya
    pha

    lda drawing
    bne :+
    jsr show
:   ldx wanted
    cpx #NONE
    beq :+
    stx playing
    lda #NONE
    sta wanted
    txa
    jsr init
    jmp @sounded
:   lda playing
    cmp #NONE
    beq @sounded
    jsr play
@sounded:
    jsr buttons
    jsr meters
    jsr look

    lda main_bank
    jsr select
    pla
    tay
    pla
    tax
    dec busy
    pla
    rti

; ---------------------------------------------------------------- show: what `look` and `meters` made, to the screen
show:
    lda #$84            ; down a column
    sta PPUCTRL
    lda #$20
    ldx #$C2
    jsr goto
    ldx #0
:   lda arrows,x
    sta PPUDATA
    lda #0
    sta PPUDATA
    inx
    cpx #ROWS
    bne :-
    lda #$20
    ldx #$C3
    jsr goto
    ldx #0
:   lda notes,x
    sta PPUDATA
    lda #0
    sta PPUDATA
    inx
    cpx #ROWS
    bne :-
    lda #$80
    sta PPUCTRL
    lda #$23
    ldx #$C8
    jsr goto
    ldx #0
:   lda attribute,x
    .repeat 8
    sta PPUDATA
    .endrep
    inx
    cpx #6
    bne :-
    .repeat 4, i
    lda #$23
    ldx #$44 + 7 * i
    jsr goto
    .repeat 4, j
    lda bars + 4 * i + j
    sta PPUDATA
    .endrep
    .endrep
    lda #0
    sta PPUSCROLL
    sta PPUSCROLL
    lda #$80
    sta PPUCTRL
    lda #$0A
    sta PPUMASK
    rts

; ---------------------------------------------------------------- buttons
buttons:
    lda pad
    sta before
    lda #1
    sta PAD
    sta pad             ; this 1 leaves the byte after eight shifts
    lsr a
    sta PAD
:   lda PAD
    and #3              ; the Famicom's second pad connector answers in bit 1
    cmp #1
    rol pad
    bcc :-
    lda before
    eor #$FF
    and pad
    sta pressed
    lda pad
    and #$0F
    beq @act
    cmp held            ; a direction held on?
    bne @new
    dec repeat
    bne @act
    ora pressed
    sta pressed
    lda #6
    bne @again          ; always
@new:
    lda #24
@again:
    sta repeat
@act:
    lda pad
    and #$0F
    sta held

    lda pressed
    and #$90            ; A, Start
    beq @no_play
    lda cursor
    sta wanted
    lda page
    sta play_page
    lda row
    sta play_row
@no_play:
    lda pressed
    and #$60            ; B, Select
    beq @no_stop
    lda #NONE
    sta wanted
    sta playing
    jsr silence
@no_stop:
    lda pressed
    and #$08
    bne up
    lda pressed
    and #$04
    bne down
    lda pressed
    and #$02
    bne page_up
    lda pressed
    and #$01
    bne page_down
    rts

up:
    lda cursor
    beq to_last
    dec cursor
    dec row
    bpl :+
    lda #ROWS-1
    sta row
    dec page
:   rts

to_last:
    lda LAST_SONG
    sta cursor
    lda LAST_ROW
    sta row
    lda LAST_PAGE
    sta page
    rts

down:
    lda cursor
    cmp LAST_SONG
    beq to_first
    inc cursor
    inc row
    lda row
    cmp #ROWS
    bne :+
    lda #0
    sta row
    inc page
:   rts

to_first:
    lda #0
    sta cursor
    sta row
    sta page
    rts

page_up:
    lda page
    beq to_first
    dec page
    lda cursor
    sec
    sbc #ROWS
    sta cursor
    rts

page_down:
    lda page
    cmp LAST_PAGE
    beq to_last
    inc page
    lda cursor
    clc
    adc #ROWS
    bcs to_last         ; beyond 255
    sta cursor
    cmp LAST_SONG
    bcc :+
    bne to_last
:   rts

; ---------------------------------------------------------------- meters: four levels, falling one step a frame
meters:
    ldx #3
@channel:
    lda SHADOW+$15      ; a channel that is off is silent
    and masks,x
    beq @level
    ldy registers,x
    lda SHADOW,y
    cpx #2
    bne @volume
    and #$7F            ; the triangle has no volume: it sounds or not
    beq @level
    lda #12
@volume:
    and #$0F
@level:
    cmp level,x
    bcs :+
    lda level,x
    sbc #0              ; carry clear: one less
:   sta level,x
    dex
    bpl @channel

    ldx #0
    ldy #0
@meter:
    lda level,x
    sta rest
@tile:
    lda rest
    cmp #4
    bcc :+
    lda #4
:   sta part
    clc
    adc #BAR
    sta bars,y
    lda rest
    sec
    sbc part
    sta rest
    iny
    tya
    and #3
    bne @tile
    inx
    cpx #4
    bne @meter
    rts

; ---------------------------------------------------------------- look: marks and colours of the list
look:
    lda #0
    ldx #ROWS-1
:   sta arrows,x
    sta notes,x
    sta colours+1,x
    dex
    bpl :-
    lda #3
    sta colours
    sta colours+ROWS+1
    lda playing
    cmp #NONE
    beq :+
    lda play_page
    cmp page
    bne :+
    ldx play_row
    lda #NOTE
    sta notes,x
    lda #2
    sta colours+1,x
:   ldx row
    lda #'>'
    sta arrows,x
    lda #1
    sta colours+1,x
    ldy #ROWS
@pair:                  ; two lines to a row of attributes
    ldx colours,y
    lda upper,x
    ldx colours+1,y
    ora lower,x
    pha
    tya
    lsr a
    tax
    pla
    sta attribute,x
    dey
    dey
    bpl @pair
    rts

; ---------------------------------------------------------------- select: A = bank; X is lost
select:
    tax
    sta BANKS,x         ; UxROM: over the same number, since ROM and CPU share the bus
    sta $5FF9           ; mapper 31: the window at $9000. NROM hears neither.
    rts

    .include "player.s"

; ---------------------------------------------------------------- tables
palettes:
    .byte $0F,$30,$0F,$10, $0F,$38,$0F,$28, $0F,$3A,$0F,$2A, $0F,$31,$0F,$21
masks:
    .byte $01,$02,$04,$08
registers:
    .byte $00,$04,$08,$0C
upper:
    .byte $00,$05,$0A,$0F
lower:
    .byte $00,$50,$A0,$F0
footer:
    .byte "  P1     P2     TR     NO       "
    .byte "  A PLAY  B STOP        "

    .assert * <= FONT, error, "the code reaches into the font"
