// Whether bytes are UTF-8 as JSON wants it: no overlong forms, no surrogates, nothing above
// U+10FFFF, no zero byte.
#pragma once

#include <string_view>

namespace teamscale::core {

bool IsUtf8(std::string_view bytes);

}  // namespace teamscale::core
