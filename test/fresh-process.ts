// Runs before each test file: what the one before changed of the process is put back. Lazarus narrows the
// umask of the process that takes the lock on its data.
process.umask(0o022);
