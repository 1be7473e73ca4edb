# Each service is killed; they come back by themselves, and the job runs each time

the job runs
kill storage/blk
all serve
the job runs
kill fs/fs
all serve
the job runs
kill gpu/gpu
all serve
the job runs
kill fs/registry
all serve
the job runs
