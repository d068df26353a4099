"""An exam: hidden tests in one jailed process, the candidate's program in another, plain data between them.

    examiner.py   holds the tests, calls the candidate through stand-ins, reports what it found
    candidate.py  holds the program, answers calls
    link.py       the conversation: requests, answers, calls back, changes to arguments
    encode.py, decode.py   values as bounded, typed JSON lines

Both ends run inside jails and inside containers, in a freshly forked interpreter: standard library only.
What comes from a candidate is data; nothing it sends can choose what is compared, nor how.
"""
