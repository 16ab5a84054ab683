"""The 2A03, in numpy and compiled: register writes in, band-limited sound out. Nothing here knows music or files.

The stages, each a module:

    writes       register log        -> writes at CPU cycles, passes of a loop played out
    chip         writes              -> segments: stretches of constant settings, one list a channel
    oscillators  segments            -> level changes: (CPU cycle, level) of each channel
    mixer        level changes       -> steps of the mixed output
    steps        steps               -> differences of samples, band-limited
    filters      differences         -> the voice of a console

`synthesis` goes from writes to differences in one call, by these modules or by the compiled `_fast`; `extension` says which.
`stream` holds the player that goes on from piece to piece. `state` reads the settings of each frame back from a log.
"""
