"""What talks to the world: providers, jobs, the command line; composes engine and storage."""
