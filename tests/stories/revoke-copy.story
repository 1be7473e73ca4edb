# After a revoke no byte lands any more, in the middle of copies from everywhere (G1)

actor near on app
near request inbox take
near publish inbox story.near
near memory source 16777216
near fill source 8
actor far on gpu
far request inbox take
far publish inbox story.far
far memory source 16777216
far fill source 9
actor owner on storage
owner find story.near near
owner find story.far far
owner memory target 16777216
owner revtree lent target
owner give near lent
owner give far lent

near copy lent source as one
far copy lent source as two
near copy lent source as three
wait 5 ms
owner revoke lent -> OK within 1000 ms
owner fill target 1
one -> REVOKED or OK
two -> REVOKED or OK
three -> REVOKED or OK
wait 100 ms
owner holds target 1
near copy lent source -> REVOKED
owner holds target 1
