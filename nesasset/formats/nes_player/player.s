; The stream player: one call of `play` writes what one frame of a register log writes. 6502, ca65 syntax.
; nsf.s and jukebox.s include this file.
;
; The stream is a string of commands:
;
;   $00-$1F value           write the value to $4000 + command
;   $80-$DF                 the frame is over, and command - $80 frames without a write follow
;   $E0 low high bank       go on at that address of that bank
;   $E1 n low high bank     a passage: play n items from there, then go on behind this command
;
; An item is a step (the writes of a frame, and the $80-$DF that ends it) or a passage; up to four passages may lie in
; each other. An item begins with Y = 0 and `stream` at its first byte. Y counts bytes within the frame and must not wrap, so a
; frame of more than 120 writes holds an $E0 that leads to the byte behind itself.
;
; Cycles of a call of play: 14 in an idle frame; else about 80, and 26 a write (31 in the jukebox), 60 an $E0,
; 115 an $E1, 45 the end of a passage.

stream    = $00         ; address of the step to play
bank      = $02         ; its bank
idle      = $03         ; frames still to wait
depth     = $04         ; passages that lie in each other here, 0 to 4; for each, the outermost first:
left      = $80         ; items left of it
back_low  = $84         ; where to go on after it
back_high = $88
back_bank = $8C

NEXT      = $E0         ; commands from here on are no waits
FULL      = $DF         ; the longest wait

; ---------------------------------------------------------------- init: A = song, from 0. Silences the chip first.
init:
    pha
    jsr silence
    pla
    tax
    lda SONG_LOW,x
    sta stream
    lda SONG_HIGH,x
    sta stream+1
    lda SONG_BANK,x
    sta bank
.ifdef SAMPLES
    lda SAMPLES+$000,x  ; the four banks that the sample channel reads
    sta $5FFC
    lda SAMPLES+$100,x
    sta $5FFD
    lda SAMPLES+$200,x
    sta $5FFE
    lda SAMPLES+$300,x
    sta $5FFF
.endif
    lda #0
    sta idle
    sta depth
    lda #$0F            ; four channels on, as an NSF player would leave them
    sta $4015
    lda #$40            ; four-step frame counter without interrupts
    sta $4017
    rts

; ---------------------------------------------------------------- silence: zero in every register
silence:
    lda #0
    sta $4015           ; first, so that no channel sounds while its registers change
    ldx #$13
:   sta $4000,x
.ifdef SHADOW
    sta SHADOW,x
.endif
    dex
    bpl :-
.ifdef SHADOW
    sta SHADOW+$15
.endif
    rts

; ---------------------------------------------------------------- play: one frame
play:
    lda idle
    beq active
    dec idle
    rts

active:
    lda bank
    jsr select
    ldy #0
command:
    lda (stream),y
    bmi not_a_write
    tax
    iny
    lda (stream),y
    sta $4000,x
.ifdef SHADOW
    sta SHADOW,x
.endif
    iny
    bne command         ; always

not_a_write:
    cmp #NEXT
    bcs move
    and #$7F
    sta idle
    iny                 ; the step is over: bring `stream` to the next one
    tya
    clc
    adc stream
    sta stream
    bcc :+
    inc stream+1
:   ldx depth
    beq done
passage_item:
    dec left-1,x
    bne done
    lda back_low-1,x    ; so is the passage
    sta stream
    lda back_high-1,x
    sta stream+1
    lda back_bank-1,x
    sta bank
    dex
    stx depth
    bne passage_item    ; which was an item of the passage around it
done:
    rts

move:
    beq jump            ; $E0
    inc depth           ; $E1: count, then an address as $E0 has it
    ldx depth
    iny
    lda (stream),y
    sta left-1,x
    tya
    clc
    adc #4              ; three bytes of address, and on to the next command
    adc stream          ; Y is small, so the carry is clear
    sta back_low-1,x
    lda stream+1
    adc #0
    sta back_high-1,x
    lda bank
    sta back_bank-1,x
jump:
    iny
    lda (stream),y
    pha
    iny
    lda (stream),y
    tax
    iny
    lda (stream),y
    sta bank
    pla
    sta stream
    stx stream+1
    jmp active          ; selects the bank, sets Y to 0
