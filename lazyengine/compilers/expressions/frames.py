"""How an evaluator and its parent speak: frames of four bytes of length and that many bytes of JSON."""

import struct

LENGTH = struct.Struct("!I")
