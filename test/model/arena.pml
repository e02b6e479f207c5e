/* One bucket of the arena and one block, word by word: a reader without a lock, and writers who hold the stripe's.
 *
 * Memory is sequentially consistent here. That is enough, for what the code asks of the machine: every store of a writer is a
 * release, every load of a reader an acquire. A reader that sees a word of a later change sees the version that was
 * stored before it; the last load, of the version, comes after all others (arena.h).
 *
 * A value is two words that are equal, and equal to its key's number. The block is used again for another key's value.
 * Mutations, each of which must fail: M_...                                                                          */
byte version, key_of_reference, block_key, word0, word1;
bool lock;
byte rounds;

inline change(key) {      /* drop what is there, use the block again, link it */
  atomic { !lock -> lock = 1 };
#ifndef M_NO_VERSION
  version++;
#endif
  key_of_reference = 0;
#ifndef M_NO_VERSION
  version++;
#endif
#ifdef M_LINK_FIRST
  key_of_reference = key;
#endif
  block_key = key; word0 = key; word1 = key;
#ifndef M_LINK_FIRST
#ifndef M_NO_VERSION
  version++;
#endif
  key_of_reference = key;
#ifndef M_NO_VERSION
  version++;
#endif
#endif
  lock = 0
}

active [2] proctype Writer() {
  do
  :: rounds < 4 -> rounds++; if :: change(1) :: change(2) fi
  :: else -> break
  od
}

active proctype Reader() {
  byte wanted, seen, a, b;
  do
  :: rounds >= 4 -> break
  :: else ->
     if :: wanted = 1 :: wanted = 2 fi;
     seen = version;
     if
     :: seen % 2 == 0 && key_of_reference == wanted ->
        if
        :: block_key == wanted ->
           a = word0;
           b = word1;
           if
#ifndef M_NO_CHECK
           :: version == seen ->
#else
           :: true ->
#endif
              assert(a == wanted && b == wanted)
           :: else
           fi
        :: else
        fi
     :: else
     fi;
     d_step { seen = 0; a = 0; b = 0; wanted = 0 }
  od
}
