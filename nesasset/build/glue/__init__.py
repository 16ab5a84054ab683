"""What each engine gets beside the sound: code, settings and lists, as texts. One module for those of a kind."""
