-- +goose Up

-- hosts: a tag that is renamed is another version of the same tag
ALTER TABLE tags ADD COLUMN updated_at integer NOT NULL DEFAULT 0;

-- schedule: queries stand for themselves and belong to any number of packs.
-- packed: it came with a pack, and goes with the last one.
CREATE TABLE queries (
    id         integer PRIMARY KEY AUTOINCREMENT,
    name       text    NOT NULL,
    packed     integer NOT NULL DEFAULT 0,
    document   text    NOT NULL,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    from_pack  integer NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX queries_name ON queries (name);

CREATE TABLE pack_queries (
    pack_id  integer NOT NULL REFERENCES packs (id) ON DELETE CASCADE,
    query_id integer NOT NULL REFERENCES queries (id) ON DELETE CASCADE,
    PRIMARY KEY (pack_id, query_id)
) STRICT;
CREATE INDEX pack_queries_query ON pack_queries (query_id);

INSERT INTO queries (name, packed, document, created_at, updated_at, from_pack)
SELECT q.key, 1, q.value, p.created_at, p.updated_at, p.id
FROM packs AS p, json_each(p.document, '$.queries') AS q WHERE q.type = 'object' ORDER BY p.id, q.key;
INSERT INTO pack_queries (pack_id, query_id) SELECT from_pack, id FROM queries;
ALTER TABLE queries DROP COLUMN from_pack;
UPDATE packs SET document = json_remove(document, '$.queries');

CREATE TABLE query_tags (
    query_id integer NOT NULL REFERENCES queries (id) ON DELETE CASCADE,
    tag_id   integer NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    PRIMARY KEY (query_id, tag_id)
) STRICT;
CREATE INDEX query_tags_tag ON query_tags (tag_id);

-- schedule: packs name their tags by id, as hosts do
INSERT INTO tags (value, created_at) SELECT DISTINCT tag, 0 FROM pack_tags WHERE tag NOT IN (SELECT value FROM tags);
ALTER TABLE pack_tags RENAME TO pack_tag_values;
CREATE TABLE pack_tags (
    pack_id integer NOT NULL REFERENCES packs (id) ON DELETE CASCADE,
    tag_id  integer NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    PRIMARY KEY (pack_id, tag_id)
) STRICT;
CREATE INDEX pack_tags_tag ON pack_tags (tag_id);
INSERT INTO pack_tags (pack_id, tag_id) SELECT v.pack_id, t.id FROM pack_tag_values AS v JOIN tags AS t ON t.value = v.tag;
DROP TABLE pack_tag_values;

-- schedule: one config of a platform and architecture is in force; what it was
-- before is kept. The default for 64-bit Windows is the one that the API calls shallow.
UPDATE configs SET type = 'shallow' WHERE platform = 'windows' AND arch = 'x86_64' AND type = 'default';
ALTER TABLE configs ADD COLUMN version integer NOT NULL DEFAULT 1;
CREATE UNIQUE INDEX configs_active ON configs (platform, arch) WHERE active = 1;

CREATE TABLE config_versions (
    config_id  integer NOT NULL REFERENCES configs (id) ON DELETE CASCADE,
    version    integer NOT NULL,
    document   text    NOT NULL,
    username   text    NOT NULL DEFAULT '',
    comment    text    NOT NULL DEFAULT '',
    created_at integer NOT NULL,
    PRIMARY KEY (config_id, version)
) STRICT;

-- results: which indicator values a stretch of the log holds. A segment covers what
-- arrived from from_at up to to_at; sieve says which values it may hold, postings where.
CREATE TABLE observed (
    id        integer PRIMARY KEY AUTOINCREMENT,
    from_at   integer NOT NULL UNIQUE,
    to_at     integer NOT NULL,
    row_count integer NOT NULL,
    sieve     blob    NOT NULL,
    postings  blob    NOT NULL
) STRICT;

-- yara
CREATE TABLE yara_files (
    id         integer PRIMARY KEY AUTOINCREMENT,
    name       text    NOT NULL UNIQUE,
    token      text    NOT NULL UNIQUE, -- the part of its address that cannot be guessed
    content    text    NOT NULL,
    sha256     text    NOT NULL,
    rule_count integer NOT NULL,
    username   text    NOT NULL DEFAULT '',
    created_at integer NOT NULL,
    updated_at integer NOT NULL
) STRICT;

CREATE TABLE yara_tags (
    file_id integer NOT NULL REFERENCES yara_files (id) ON DELETE CASCADE,
    tag_id  integer NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    PRIMARY KEY (file_id, tag_id)
) STRICT;
CREATE INDEX yara_tags_tag ON yara_tags (tag_id);

-- +goose Down
DROP TABLE yara_tags;
DROP TABLE yara_files;
DROP TABLE observed;
DROP TABLE config_versions;
DROP INDEX configs_active;
ALTER TABLE configs DROP COLUMN version;
UPDATE configs SET type = 'default' WHERE platform = 'windows' AND arch = 'x86_64' AND type = 'shallow';
ALTER TABLE pack_tags RENAME TO pack_tag_ids;
DROP INDEX pack_tags_tag;
CREATE TABLE pack_tags (
    pack_id integer NOT NULL REFERENCES packs (id) ON DELETE CASCADE,
    tag     text    NOT NULL,
    PRIMARY KEY (pack_id, tag)
) STRICT;
INSERT INTO pack_tags (pack_id, tag) SELECT i.pack_id, t.value FROM pack_tag_ids AS i JOIN tags AS t ON t.id = i.tag_id;
DROP TABLE pack_tag_ids;
DROP TABLE query_tags;
UPDATE packs SET document = json_set(document, '$.queries', json((
    SELECT coalesce(json_group_object(q.name, json(q.document)), '{}')
    FROM pack_queries AS pq JOIN queries AS q ON q.id = pq.query_id WHERE pq.pack_id = packs.id)));
DROP TABLE pack_queries;
DROP TABLE queries;
ALTER TABLE tags DROP COLUMN updated_at;
