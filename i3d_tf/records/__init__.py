"""Records: videos as TFRecord shards of MediaSequence's SequenceExamples, written and read."""
