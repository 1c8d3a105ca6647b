"""The words, names and facts that the starter text model is made from."""

NOUNS = (
    "apple ball banana basket bear bird boat book bottle box bread bridge cake car castle cat chair cheese clock cloud "
    "coat coin cow cup dog door dress drum duck egg engine farm fish flower fox frog garden hammer hat horse house "
    "island jar key king kitten lamp lemon letter lion map milk mirror monkey moon mountain mouse orange owl paper "
    "park pencil piano picture pig queen rabbit rain river robot rock rose school sheep ship shirt shoe snake snow "
    "spoon star stone table tiger tomato tower train tree turtle water whale window wolf"
).split()
ADJECTIVES = (
    "big small old new fast slow hot cold happy sad soft hard loud quiet clean dirty tall short heavy light dark "
    "bright sweet dry wet full empty brave lazy calm warm"
).split()
VERBS = "run walk jump swim sing dance read write eat drink sleep play open close push pull".split()
COLOURS = "red blue green yellow black white purple pink brown gray".split()
WORDS = NOUNS + ADJECTIVES + VERBS + COLOURS

NAMES = (
    "Tom Anna Ben Lucy Sam Mary John Sara Max Emma Leo Nina Paul Kate Jack Rosa Adam Ella Omar Mia Peter Lily Hugo "
    "Clara David Alice Oscar Ruby Felix Zoe Ivan Maya"
).split()
CITIES = (
    "Paris London Berlin Madrid Rome Tokyo Vienna Dublin Lisbon Oslo Prague Athens Cairo Delhi Boston Chicago".split()
)
MORE_CITIES = (
    "San Francisco,New York,Los Angeles,Mexico City,Hong Kong,Cape Town,Sydney,Toronto,Seattle,Moscow,Mumbai,Munich,"
    "Milan,Denver,Miami,Kyoto,Seoul,Geneva"
).split(",")
PLACES = "box bag drawer kitchen garden car house basket school park room tower".split()
POSSESSIONS = "hat car coat bag cup shirt ball book bike scarf dress lamp chair box".split()
COUNTABLES = "apples bananas oranges lemons eggs books coins cups pencils balls shoes stars".split()
JOBS = "teacher doctor farmer pilot cook painter driver nurse writer singer".split()

OPPOSITES = dict(
    hot="cold", big="small", old="new", fast="slow", happy="sad", soft="hard", loud="quiet", clean="dirty",
    tall="short", heavy="light", dark="bright", dry="wet", full="empty", rich="poor", open="close", push="pull",
    find="lose", give="take", buy="sell", up="down", left="right", day="night",
)  # fmt: skip
OPPOSITES |= {second: first for first, second in OPPOSITES.items()}
CAPITALS = dict(
    France="Paris", Germany="Berlin", Spain="Madrid", Italy="Rome", Japan="Tokyo", Austria="Vienna",
    Ireland="Dublin", Portugal="Lisbon", Norway="Oslo", Greece="Athens", Egypt="Cairo", England="London",
)  # fmt: skip
SOUNDS = dict(
    cat="Meow!", dog="Woof!", cow="Moo!", duck="Quack!", lion="Roar!", pig="Oink!", owl="Hoot!", snake="Hiss!",
    mouse="Squeak!", frog="Ribbit!",
)  # fmt: skip
NUMBER_WORDS = "zero one two three four five six seven eight nine ten".split()
