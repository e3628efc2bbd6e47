package simulate

// The tables hold common names in about the order of their frequency: family names
// after the Census Bureau's list of surnames (2010), given names after the Social
// Security Administration's lists by decade. "_" is a blank within a name.

// The groups that have names of their own, with their shares in the population of
// Illinois (2020 Census, rounded).
const (
	white = iota
	hispanic
	black
	asian
	other
)

var groupShares = []float64{0.58, 0.76, 0.90, 0.96, 1}

var families = [...]table{
	white: ranked(8, `Smith Johnson Miller Brown Davis Anderson Wilson Taylor Thomas Moore Martin Thompson White Clark Lewis Hall Young King
		Wright Hill Scott Nelson Baker Adams Campbell Mitchell Roberts Phillips Evans Parker Edwards Collins Stewart Morris Murphy Cook Rogers
		Peterson Cooper Reed Bailey Kelly Ward Cox Richardson Wood Watson Bennett Gray Hughes Price Myers Long Foster Sanders Ross Morgan
		Sullivan Powell Russell Fisher Hamilton Graham Wallace West Cole Hayes Gibson Bryant Ellis Stevens Ford Marshall Owens McDonald Kennedy
		Wells Woods Olson Webb Tucker Hicks Porter Hunter Crawford Henry Boyd Mason Warren Kowalski Nowak Wojcik Schmidt Mueller Schneider
		Meyer Schultz Hoffman Weber Wagner Becker Larson Hansen Jensen Carlson Swanson O'Brien O'Connor O'Neill McCarthy Fitzgerald Ryan
		Burke Quinn Gallagher Doyle Rossi Russo Esposito Romano Marino D'Angelo DeLuca Novak Kaminski Lewandowski Zielinski Szymanski Mazur
		Van_Dyke De_Vries St._John Petrov Ivanov Papadopoulos Goldberg Cohen Friedman Katz Levin`),
	hispanic: ranked(4, `García Rodríguez Hernández Martínez López González Pérez Sánchez Ramírez Torres Flores Rivera Gómez Díaz Reyes Morales
		Cruz Ortiz Gutiérrez Chávez Ramos Ruiz Mendoza Álvarez Jiménez Castillo Vásquez Romero Moreno Gonzales Herrera Aguilar Medina Vargas
		Castro Guzmán Méndez Fernández Muñoz Salazar Garza Soto Vega Delgado Rojas Contreras Peña Ríos Guerrero Sandoval Ortega Estrada
		Núñez Maldonado Valdez Santiago Figueroa Acosta Cabrera Espinoza Cervantes Molina Avila Campos Padilla Serrano Lara Mejía Fuentes
		Rosales Solís Navarro De_la_Cruz De_León Del_Toro Zamora Villarreal Cárdenas Ibarra Trujillo Velázquez Zavala Bautista Orozco`),
	black: ranked(6, `Williams Johnson Jones Brown Jackson Davis Smith Thomas Robinson Harris Washington Taylor Moore Thompson Lewis Walker Green
		Wilson White Scott Carter Wright Mitchell Young Allen Hill Coleman Turner Jefferson Banks Booker Franklin Freeman Gaines Grant
		Henderson Howard James Jenkins Joseph Simmons Patterson Brooks Butler Bryant Dixon Alexander Barnes Bell Griffin Hayes Ford Reed
		Owens Mosley Randolph Rivers Singleton Tate Tucker Vaughn Watkins Whitaker Batiste Bolden Chatman Dorsey Easley Fields Gadson Hairston
		Ivory Kirkland Lyles McGee Okafor Adeyemi Mensah Diallo Bekele Toussaint Pierre`),
	asian: ranked(5, `Nguyen Patel Kim Lee Tran Chen Wong Wang Li Singh Shah Park Huang Le Lin Choi Yang Liu Pham Wu Zhang Khan Chang Ali Reyes
		Santos Cruz Yu Chung Lim Huynh Ho Hong Zhao Vo Dang Gupta Sharma Kumar Desai Mehta Reddy Rao Iyer Bui Do Phan Vu Truong Cheng Chan Lam
		Cho Kang Han Jung Shin Yoon Kwon Tanaka Suzuki Sato Nakamura Yamamoto Garcia Mendoza Dela_Cruz Bautista Aquino Villanueva Ramos
		Chowdhury Hossain Rahman Begum Malik Hussain Thapa Gurung Sherpa Xiong Vang Moua Chaudhary Joshi Trivedi`),
	other: ranked(6, `Smith Johnson Williams Brown Jones Hassan Ahmed Mohamed Ibrahim Haddad Khoury Nasser Mansour Abboud Saleh Hamdan Kovacs Begay
		Yazzie Locklear Redhawk Whitehorse Silva Santos Pereira Oliveira Costa Martin Young Clark Thomas Kahale Kealoha Tuiasosopo Yilmaz
		Demir Hosseini Karimi Rostami Petrosyan Sargsyan Beridze Khalil Aziz Farah Abdi Warsame`),
}

// The long tail: half of the people in the United States have a family name that less
// than one in 4,000 shares. These are put together.
var (
	tailFirst = ranked(60, `Ash Back Bar Beck Ber Birk Black Blan Bon Brad Bran Bren Brock Buck Burn Cal Can Car Chal Chat Clay Clif Col Cran Cul Dal
		Dan Dar Den Dor Dun Ed El Fair Fal Far Fen Fin Fitz Flet Fos Gal Gar Gil Glen God Gran Green Grim Had Hal Ham Har Hart Haw Hazel Hen
		Hol Hor Hum Hux Ing Ken Kil Kim Kings Lan Law Lin Lock Lud Mal Mar Mat Mel Mid Mil Mont Nor Oak Old Pem Pen Pick Pres Quin Rad Ram
		Red Rich Rock Rush Ruth Sal San Sax Sel Sher Stan Staf Stock Sut Thorn Tre Up Wal War Wel Whit Win Wool Wor Wy Zim Zel Schon Stein`)
	tailLast = ranked(20, `ton ley ford man well field wood ham ner son berg stein ski ridge worth by land more ing ler ster gate combe wick dale hurst
		hoff bach kins ett low bury shaw mer den er aker ard ault`)
)

// The eras of given names, by year of birth.
const (
	oldEra    = iota // before 1970
	middleEra        // 1970 to 1999
	newEra
)

var girls = [...]table{
	oldEra: ranked(5, `Mary Patricia Linda Barbara Susan Deborah Nancy Karen Carol Sandra Betty Donna Sharon Judith Margaret Kathleen Diane
		Pamela Cynthia Janet Carolyn Joyce Brenda Shirley Cheryl Judy Dorothy Virginia Ruth Catherine Elizabeth Christine Janice Joan Gloria
		Martha Beverly Rose Debra Helen Alice Jean Theresa Ann Bonnie Peggy Connie Marilyn Evelyn Frances Ellen Katherine Rebecca Phyllis
		Lois Marie Jane Rita Sally Elaine`),
	middleEra: ranked(5, `Jennifer Jessica Amanda Ashley Sarah Stephanie Melissa Nicole Elizabeth Heather Tiffany Michelle Amber Megan Amy Rachel
		Kimberly Christina Lauren Crystal Brittany Rebecca Laura Emily Danielle Samantha Angela Erin Kelly Sara Lisa Katherine Andrea
		Jamie Mary Erica Courtney Kristen Shannon April Katie Lindsey Kristin Lindsay Christine Alicia Vanessa Maria Kathryn Allison Julie
		Anna Tara Kayla Natalie Victoria Jacqueline Holly Kristina Patricia`),
	newEra: ranked(7, `Emma Olivia Sophia Isabella Ava Mia Emily Abigail Madison Charlotte Elizabeth Amelia Harper Evelyn Chloe Ella Avery Sofia
		Grace Victoria Aubrey Hannah Lily Zoey Natalie Addison Scarlett Lillian Layla Aria Brooklyn Zoe Nora Leah Savannah Audrey Claire
		Penelope Riley Skylar Samantha Anna Lucy Bella Caroline Stella Hailey Violet Aaliyah Paisley Maya Aurora Ellie Hazel Nova Kinsley
		Naomi Eleanor Hadley Kaylee Katelyn Caitlyn Kaitlyn Kate Julia Alexandra Sarah Allison Kylie Mackenzie Makayla Mikayla Adeline Ivy`),
}

var boys = [...]table{
	oldEra: ranked(4, `James Robert John William Richard David Michael Thomas Charles Donald Joseph Gary Ronald Kenneth Larry George Paul Edward
		Steven Dennis Frank Jerry Daniel Raymond Stephen Roger Mark Gerald Walter Harold Douglas Henry Lawrence Arthur Jack Albert Bruce
		Peter Joe Carl Terry Wayne Gregory Willie Ralph Roy Eugene Louis Russell Philip Harry Howard Fred Billy Timothy Jimmy Bobby Johnny
		Phillip Stanley`),
	middleEra: ranked(4, `Michael Christopher Matthew Joshua David James Daniel Robert John Joseph Jason Justin Andrew Ryan William Brian Jonathan
		Brandon Nicholas Anthony Eric Adam Kevin Steven Thomas Timothy Kyle Richard Jeffrey Jeremy Benjamin Mark Aaron Charles Jacob
		Stephen Patrick Sean Zachary Nathan Dustin Paul Tyler Scott Travis Gregory Kenneth Alexander Bryan Jesse Cody Shawn Samuel Ian
		Derek Chad Marcus Peter Keith Edward`),
	newEra: ranked(6, `Noah Liam Jacob Mason William Ethan Michael Alexander James Elijah Daniel Benjamin Aiden Jayden Logan Matthew David Joseph
		Lucas Jackson Anthony Joshua Samuel Andrew Gabriel Christopher John Dylan Carter Isaac Ryan Luke Oliver Nathan Henry Owen Caleb Wyatt
		Christian Sebastian Jack Jonathan Landon Julian Isaiah Hunter Levi Aaron Eli Charles Thomas Connor Brayden Nicholas Jaxon Jeremiah
		Cameron Evan Adrian Jordan Gavin Grayson Angel Robert Tyler Josiah Austin Colton Brandon Jose Dominic Kevin Zachary Ian Chase Jason
		Adam Ayden Parker Hudson Cooper Theodore Ezra Asher Leo Jaden Jaiden Aidan`),
}

// The names that a group gives besides those of all.
var (
	ownGirls = [...]table{
		white: ranked(6, `Kelly Brianna Reagan Piper Molly Bridget Maeve Siobhan Greta Ingrid Astrid Magdalena Agnieszka Katarzyna Zofia Giulia
			Francesca Rachel Miriam Hannah Mary_Kate Anna_Grace Sadie Willa Josephine`),
		hispanic: ranked(3, `María Guadalupe Sofía Valentina Camila Ximena Daniela Gabriela Alejandra Ana Mariana Andrea Fernanda Valeria Natalia
			Lucía Isabel Carmen Rosa Juana Esperanza Leticia Yolanda Verónica Patricia Elena Teresa Adriana Marisol Yesenia Paola Jimena Renata
			Regina Itzel Dulce Araceli Maribel Ana_María María_Elena María_José Luz Blanca Graciela`),
		black: ranked(6, `Aaliyah Imani Kiara Jasmine Destiny Nia Ebony Tanisha Latoya Keisha Shanice Tamika Monique Janelle Brianna Kennedy Zuri
			Amara Nevaeh Serenity Trinity Journee Skye London Alexis Raven Deja Tiana Jada Ayanna Kayla Mya Zion Essence Precious`),
		asian: ranked(6, `Priya Anjali Neha Aanya Saanvi Diya Mei Ling Xin Yan Hui Jia Yuna Ji-woo Min-ji Soo-jin Thuy Linh Huong Lan Anh Mai
			Trang Aiko Yuki Sakura Maria_Cristina Grace Joy Angel Fatima Ayesha Sana Zara Kavya Riya Isha Ananya`),
		other: ranked(6, `Fatima Layla Amina Zaynab Mariam Noor Yasmin Leila Salma Hana Sara Maryam Shirin Nasrin Elif Zeynep Ani Lusine
			Winona Kaya Leilani Malia Beatriz Larissa`),
	}
	ownBoys = [...]table{
		white: ranked(6, `Connor Liam Declan Patrick Brendan Finn Erik Lars Stefan Piotr Tomasz Krzysztof Mateusz Marco Giovanni Luca Noah Jacob
			Jean-Paul Griffin Beckett Sawyer Tucker`),
		hispanic: ranked(3, `José Juan Luis Carlos Jesús Miguel Ángel Diego Santiago Mateo Alejandro Jorge Manuel Francisco Antonio Pedro Ricardo
			Eduardo Fernando Javier Roberto Rafael Raúl Sergio Emiliano Leonardo Iker Ramón Arturo Enrique Héctor Óscar Víctor José_Luis Juan_Carlos
			Juan_Pablo Luis_Ángel Andrés Martín César Rubén Joaquín Maximiliano`),
		black: ranked(6, `Jayden Elijah Isaiah Jeremiah Xavier Malik Jamal Darius DeShawn DeAndre Tyrone Terrell Marquis Kareem Tyrese Kendrick
			Jalen Amari Kobe Trevon Marcus Andre Reginald Cedric Lamar Darnell Carter Zion King Messiah Legend Kingston Khalil Jabari`),
		asian: ranked(6, `Aarav Arjun Rohan Vivaan Aditya Rahul Sanjay Wei Jun Ming Hao Jian Min-jun Ji-hoon Seung-min Minh Tuan Huy Duc Khoa Quan
			Kenji Hiroshi Takeshi Angelo John_Paul Mark Mohammed Imran Bilal Omar Ishaan Kabir Dev Nikhil`),
		other: ranked(6, `Mohammed Ahmed Omar Ali Yusuf Ibrahim Hassan Khalid Samir Tariq Karim Amir Reza Darius Emre Mehmet Armen Hayk Kai Keanu
			Gabriel Thiago Mateus Dakota`),
	}
	// The share of the group that has such a name.
	ownShare = [...]float64{white: 0.12, hispanic: 0.6, black: 0.35, asian: 0.5, other: 0.5}
)

// nicknames are given names and what their bearers are called for short.
var nicknames = map[string][]string{
	"William": {"Bill", "Will", "Billy", "Liam"}, "Robert": {"Bob", "Rob", "Bobby"}, "Richard": {"Rick", "Dick", "Rich"}, "James": {"Jim", "Jimmy", "Jamie"},
	"John": {"Jack", "Johnny"}, "Michael": {"Mike", "Mikey"}, "Joseph": {"Joe", "Joey"}, "Thomas": {"Tom", "Tommy"}, "Charles": {"Charlie", "Chuck"},
	"Christopher": {"Chris"}, "Daniel": {"Dan", "Danny"}, "Matthew": {"Matt"}, "Anthony": {"Tony"}, "Andrew": {"Andy", "Drew"}, "Joshua": {"Josh"},
	"Benjamin": {"Ben"}, "Samuel": {"Sam"}, "Alexander": {"Alex", "Xander"}, "Nicholas": {"Nick"}, "Jonathan": {"Jon"}, "Edward": {"Ed", "Eddie", "Ted"},
	"Steven": {"Steve"}, "Stephen": {"Steve"}, "Timothy": {"Tim"}, "Kenneth": {"Ken"}, "Gregory": {"Greg"}, "Zachary": {"Zach"}, "Nathan": {"Nate"},
	"Jacob": {"Jake"}, "David": {"Dave"}, "Donald": {"Don"}, "Ronald": {"Ron"}, "Lawrence": {"Larry"}, "Raymond": {"Ray"}, "Patrick": {"Pat"},
	"Theodore": {"Theo", "Ted"}, "Gabriel": {"Gabe"}, "Francisco": {"Paco", "Frank"}, "José": {"Pepe"}, "Jesús": {"Chuy"}, "Eduardo": {"Lalo"},
	"Elizabeth": {"Liz", "Beth", "Eliza", "Betty"}, "Katherine": {"Kate", "Katie", "Kathy"}, "Kathryn": {"Kate", "Katie"}, "Catherine": {"Cathy", "Cate"},
	"Margaret": {"Maggie", "Peggy", "Meg"}, "Jennifer": {"Jen", "Jenny"}, "Jessica": {"Jess", "Jessie"}, "Rebecca": {"Becky", "Becca"}, "Patricia": {"Pat", "Patty", "Trish"},
	"Barbara": {"Barb"}, "Susan": {"Sue", "Susie"}, "Deborah": {"Deb", "Debbie"}, "Christina": {"Chris", "Tina"}, "Christine": {"Chris", "Tina"},
	"Samantha": {"Sam"}, "Victoria": {"Vicky", "Tori"}, "Abigail": {"Abby"}, "Alexandra": {"Alex", "Lexi"}, "Madison": {"Maddie"}, "Isabella": {"Bella", "Izzy"},
	"Olivia": {"Liv"}, "Emily": {"Em"}, "Kimberly": {"Kim"}, "Stephanie": {"Steph"}, "Guadalupe": {"Lupe"}, "María": {"Mari"}, "Isabel": {"Chabela"},
	"Allison": {"Allie"}, "Natalie": {"Nat"}, "Eleanor": {"Ellie", "Nora"}, "Penelope": {"Penny"}, "Charlotte": {"Charlie", "Lottie"},
}

// familyName draws a family name of a group.
func familyName(d dice, group int) string {
	tail := [...]float64{white: 0.5, hispanic: 0.06, black: 0.25, asian: 0.02, other: 0.2}[group]
	if d.chance(tail) {
		return tailFirst.pick(d) + tailLast.pick(d)
	}
	return families[group].pick(d)
}

func era(year int) int {
	switch {
	case year < 1970:
		return oldEra
	case year < 2000:
		return middleEra
	}
	return newEra
}

// givenName draws a given name.
func givenName(d dice, group int, girl bool, year int) string {
	own, all := &ownBoys[group], &boys[era(year)]
	if girl {
		own, all = &ownGirls[group], &girls[era(year)]
	}
	if d.chance(ownShare[group]) {
		return own.pick(d)
	}
	return all.pick(d)
}
