# A file that was lent directly is taken back with proof, whatever dies meanwhile

actor client on app
client find fs
client memory page 65536
client fill page 5
client save /lent page
actor user on gpu
user find fs
user memory mine 65536
user open-direct /lent
user read-direct mine
user holds mine 5
user fill mine 6
user write-direct mine
client load /lent page
client holds page 6

# Made shorter: the blocks go back, and the user's names are dead before they can be another file's.
client truncate /lent 0
user read-direct mine -> REVOKED
user write-direct mine -> REVOKED

# Its user dies: nothing is lent any more, and the file can be made shorter at once.
client save /lent page
actor other on gpu
other find fs
other open-direct /lent
kill other
client truncate /lent 0 -> OK within 3000 ms

# The node of the user is cut off: its time there is over, not the file system's.
client save /lent page
user open-direct /lent
cut gpu and fs
cut gpu and storage
fs sees gpu down within 2500 ms
client truncate /lent 0 -> OK within 3000 ms
heal
all serve
user read-direct mine -> REVOKED or PEER_LOST

# The block service is killed while blocks are taken back.
client save /lent page
user open-direct /lent
client truncate /lent 0 as shorter
kill storage/blk
shorter -> OK or PEER_LOST or REVOKED or OUTCOME_UNKNOWN
all serve
user read-direct mine -> REVOKED or PEER_LOST
client save /after page
client load /after page
client holds page 6
client unlink /lent
client unlink /after
the job runs
