#include "teamscale/postgres/cache/key_image.h"

#include "teamscale/core/cache/key_hash.h"

namespace teamscale {

namespace {

struct Bytes {
  const std::byte* data;
  std::size_t size;
  void* detoasted;  // to be freed; null when the value is its own
};

Bytes BytesOf(const KeyColumn& column, Datum value) {
  if (column.length > 0)
    return {reinterpret_cast<const std::byte*>(DatumGetPointer(value)),
            static_cast<std::size_t>(column.length), nullptr};
  if (column.length == -2) {
    const char* text = DatumGetCString(value);
    return {reinterpret_cast<const std::byte*>(text), strlen(text), nullptr};
  }
  auto* packed = PG_DETOAST_DATUM_PACKED(value);
  return {reinterpret_cast<const std::byte*>(VARDATA_ANY(packed)), VARSIZE_ANY_EXHDR(packed),
          reinterpret_cast<Pointer>(packed) == DatumGetPointer(value) ? nullptr : packed};
}

void AddBytes(KeyImage* image, const Bytes& bytes) {
  std::size_t words = core::WordsOfBytes(bytes.size);
  if (!image->fits || image->words + 1 + words > kMostKeyWords) {
    image->fits = false;
    return;
  }
  image->word[image->words++] = bytes.size;
  if (words == 0) return;
  image->word[image->words + words - 1] = 0;
  memcpy(&image->word[image->words], bytes.data, bytes.size);
  image->words += static_cast<std::uint32_t>(words);
}

std::uint64_t HashByType(KeyColumn* column, Datum value) {
  if (column->extended)
    return DatumGetUInt64(
        FunctionCall2Coll(&column->hash, column->collation, value, UInt64GetDatum(0)));
  return DatumGetUInt32(FunctionCall1Coll(&column->hash, column->collation, value));
}

}  // namespace

void MakeKeyImage(Cache* cache, const NullableDatum* values, KeyImage* image) {
  image->hash = cache->seed;
  image->words = 0;
  image->fits = true;
  for (int i = 0; i < cache->keys; ++i) {
    KeyColumn* column = &cache->key[i];
    Datum value = values[i].value;
    std::uint64_t hash;
    if (column->by_value) {
      hash = column->plain ? value : HashByType(column, value);
      if (image->words < kMostKeyWords)
        image->word[image->words++] = value;
      else
        image->fits = false;
    } else {
      Bytes bytes = BytesOf(*column, value);
      hash = column->plain ? core::HashBytes({bytes.data, bytes.size}) : HashByType(column, value);
      AddBytes(image, bytes);
      if (bytes.detoasted) pfree(bytes.detoasted);
    }
    image->hash = core::Combine(image->hash, hash);
  }
}

}  // namespace teamscale
