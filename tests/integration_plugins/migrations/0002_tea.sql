-- A second run of it, or one before the first file's, would fail.
INSERT INTO stock VALUES ('tea', 7);
