# What Cap'n Proto does in the comparison: calls that carry bytes there and back.
@0xb7a1c1f0d2e34c55;

interface Stage {
  call @0 (data :Data, answer :UInt32) -> (data :Data);  # `answer`: how many bytes to send back
  relay @1 (data :Data) -> (data :Data);  # through all stages that follow; the last answers
}
