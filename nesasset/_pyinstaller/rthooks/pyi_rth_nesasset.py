"""Runs in a frozen game before the game: started as a composer, the program composes, and the game does not begin."""

import sys

sys.nesasset_worker = True  # tells nesasset.play.composer that this program can start itself as one
if sys.argv[1:2] == ["--nesasset-composer"]:
    from nesasset.play.worker import main

    main()
    sys.exit(0)
