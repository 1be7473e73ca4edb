# Let go while a copy of it is on its way, with the owner too slow to hear of either (Barrelfish's race)

actor server on storage
server request echo
server publish echo story.echo
actor holder on gpu
holder request inbox take
holder publish inbox story.holder
actor third on fs
third request inbox take
third publish inbox story.third
holder find story.third third
actor maker on app
maker find story.echo echo
maker find story.holder inbox
maker revtree child echo tracked
maker give inbox child
maker watch-held child as held

# The owner sleeps, not longer than the timeout, while the child changes hands.
stop storage/fractosd
holder give third child
holder close child
wait 300 ms
held still waits
continue storage/fractosd
wait 100 ms
held still waits
third call child
third close child
held -> OK unheld within 500 ms
