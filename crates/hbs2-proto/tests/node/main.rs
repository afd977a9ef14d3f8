//! One node and a hand-made other side, message by message.

mod blocks;
mod conduct;
mod single;
mod table;
