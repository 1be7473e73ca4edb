# A link that comes and goes

actor server on storage
server request echo
server publish echo story.echo
actor client on app
client find story.echo echo

cut app to storage
app sees storage down within 2500 ms
heal
app sees storage up
client call echo
cut storage to app
app sees storage down within 2500 ms
heal
app sees storage up
client call echo
cut app and storage
app sees storage down within 2500 ms
heal
app sees storage up
client call echo
