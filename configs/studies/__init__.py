"""Our studies, by name: python -m launch.study smoke. Each module has STUDY; anybody's own file is named by its path."""
