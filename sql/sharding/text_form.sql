CREATE FUNCTION teamscale.text_form(value anyelement) RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'teamscale_text_form';
COMMENT ON FUNCTION teamscale.text_form(anyelement) IS
    'The text of a value, written without loss whatever the session''s DateStyle, IntervalStyle, '
    'extra_float_digits and bytea_output are.';
