"""Pictures, videos and sound from files of any common format, with limits, and subtitles from what was heard."""
