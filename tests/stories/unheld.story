# The maker of a tracked child is told when nobody else holds it any more, and not before

actor server on storage
server request echo
server publish echo story.echo
server request inbox take
server publish inbox story.server
actor holder on gpu
holder request inbox take
holder publish inbox story.holder
holder request shelf
actor third on fs
third request inbox take
third publish inbox story.third
third find story.holder back
holder find story.third third
holder find story.server server
actor maker on app
maker find story.echo echo
maker find story.holder inbox

# Not before it was given away; one holder.
maker revtree a echo tracked
maker watch-held a as held_a
held_a still waits
maker give inbox a
holder call a
held_a still waits
holder close a
held_a -> OK unheld within 500 ms
maker call a -> REVOKED
maker revoke a -> REVOKED

# Passed on, to the owner's own node too, and let go in the middle.
maker revtree b echo tracked
maker give inbox b
maker watch-held b as held_b
holder give third b
holder close b
third give back b again
third close b
holder give server again b
holder close again
held_b still waits
server call b
server close b
held_b -> OK unheld within 500 ms

# Bound in a Request.
maker revtree c echo tracked
maker give inbox c
maker watch-held c as held_c
holder bind box shelf c
holder close c
wait 50 ms
held_c still waits
holder close box
held_c -> OK unheld within 500 ms

# Under a living child.
maker revtree d echo tracked
maker give inbox d
maker watch-held d as held_d
holder revtree below d
holder close d
wait 50 ms
held_d still waits
holder call below
holder revoke below
holder close below
held_d -> OK unheld within 500 ms

# All have let go before anybody asks.
maker revtree e echo tracked
maker give inbox e
holder close e
wait 50 ms
maker watch-held e -> OK unheld within 500 ms

# The holder dies.
maker revtree f echo tracked
maker give inbox f
maker watch-held f as held_f
held_f still waits
kill holder
held_f -> OK unheld within 500 ms

# Others than the maker, and others than tracked children.
maker revtree g echo
maker watch-held g -> WRONG_TYPE not
maker watch-held echo -> WRONG_TYPE not or DENIED not
