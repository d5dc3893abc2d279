"""Images and the file systems in them: paths, sizes and layers in, files out."""
