//! Every SQL statement; nothing else knows a database.
