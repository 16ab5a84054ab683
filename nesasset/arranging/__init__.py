"""Any music of parts arranged for the four voices of the 2A03: which part plays which voice, what becomes of chords and drums.

Reads no file: formats make a `Piece` of one, and `arrange` makes a score of that.
"""
