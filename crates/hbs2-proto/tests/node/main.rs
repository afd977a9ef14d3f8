//! One node and a hand-made other side, message by message.

mod blocks;
mod conduct;
mod lists;
mod single;
mod table;
