"""Limits of what one video may take: the same for every tool that reads one."""

from fractions import Fraction

# Of one frame: 16K video (15360 x 8640) fits, a forged header does not. FFmpeg checks it before it
# allocates, and then treats the size as unknown.
MAX_PIXELS = 2**27
# Of one frame that `read_frames` yields, after resizing: 4096 x 2048.
MAX_FRAME_PIXELS = 2**23
# What one clip, or one remote file, may take in memory.
MAX_BYTES = 2**34
# Of one video, after resampling: 11 hours at 25 per second. Flow files number their frames with six
# digits, and a forged time stamp can make a video last for years.
MAX_FRAMES = 10**6
# Time stamps that contradict their file would show one frame thousands of times, or none of most.
# Refused is a video that by its time stamps is longer or shorter than its header says, by this
# factor and by more than this many seconds. Programs that write files agree within a frame, but for
# the last frame: some let it last for years, so it counts as one interval.
MAX_STRETCH = Fraction(3, 2)
MAX_DIFFERENCE = 1
# One that shows a frame for longer than this before the next (or than the header lets all of it
# last): slides and screen recordings have shorter pauses, forged time stamps mostly longer ones.
MAX_FRAME_SECONDS = 600
# And one most of whose frames stand still, which is to come less than this after the frame before:
# no camera that writes its true time is as fast. It is judged at the end, and each time that so
# many frames were decoded.
MIN_FRAME_INTERVAL = 1e-4
FRAMES_TO_JUDGE = 100
# What decoding may yield before it is refused, whatever the size of the file: 90 minutes of
# 1920 x 1080 at 25 per second; and per byte of a larger file: 3 kbit/s of such a video. A few bytes
# can ask for a frame of any size, so that without a limit a small file takes days.
MAX_DECODED_PIXELS = 2**38
MAX_DECODED_PIXELS_PER_BYTE = 2**17
