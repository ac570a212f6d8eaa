-- A row of some kilobytes does not fit into the tree of a table without rowids: it spilled into a page of the file of its own, of which half
-- stayed empty. With rowids rows lie close, and the index holds the short keys alone.
CREATE TABLE page_by_row (
    job_id      INTEGER NOT NULL REFERENCES job (id),
    column_no   INTEGER NOT NULL,
    level       INTEGER NOT NULL,
    first_index BIGINT NOT NULL,
    length      BIGINT NOT NULL,
    content     BLOB NOT NULL,
    UNIQUE (job_id, column_no, level, first_index)
);
INSERT INTO page_by_row (job_id, column_no, level, first_index, length, content)
    SELECT job_id, column_no, level, first_index, length, content FROM page;
DROP TABLE page;
ALTER TABLE page_by_row RENAME TO page;
